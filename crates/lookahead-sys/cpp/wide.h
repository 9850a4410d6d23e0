// Loops for processors with vectors of eight floats.
#pragma once

#define LOOKAHEAD_INLINE inline __attribute__((always_inline))

// Before a loop over many arrays that don't overlap. GCC ignores `__restrict__` outside of parameter lists and compares the
// addresses when the loop starts, but for at most ten pairs of arrays: with more it does not vectorize the loop.
#if defined(__clang__)
#define LOOKAHEAD_NO_OVERLAP _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define LOOKAHEAD_NO_OVERLAP _Pragma("GCC ivdep")
#else
#define LOOKAHEAD_NO_OVERLAP
#endif

namespace lookahead {

// start + weight (end - start), from the nearer end as in `at::lerp`. It selects numbers instead of branching: GCC computes
// no branch with arithmetic of floats in vectors, and takes it out of small loops only.
template <typename W>
LOOKAHEAD_INLINE W between(W start, W end, W weight) {
  const bool from_start = weight < W(0.5);
  return (from_start ? start : end) + (from_start ? weight : weight - W(1)) * (end - start);
}

template <typename Loop, typename... Arguments>
auto narrow(Arguments... arguments) {
  return Loop::run(arguments...);
}

#if defined(__x86_64__)
// The same operations on eight numbers at once. Without fused multiply-add, so that results are identical to the
// bit on every processor.
template <typename Loop, typename... Arguments>
__attribute__((target("avx2"))) auto wide(Arguments... arguments) {
  return Loop::run(arguments...);
}
#endif

// The fastest form of `Loop::run` on this processor. `run` must be LOOKAHEAD_INLINE.
template <typename Loop, typename... Arguments>
auto fastest() {
#if defined(__x86_64__)
  static const bool avx2 = __builtin_cpu_supports("avx2");
  if (avx2) return &wide<Loop, Arguments...>;
#endif
  return &narrow<Loop, Arguments...>;
}

}  // namespace lookahead
