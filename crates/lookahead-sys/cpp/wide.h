// Loops for processors that take eight floats at once.
#pragma once

#define LOOKAHEAD_INLINE inline __attribute__((always_inline))

namespace lookahead {

template <typename Loop, typename... Arguments>
auto narrow(Arguments... arguments) {
  return Loop::run(arguments...);
}

#if defined(__x86_64__)
// The same operations on eight numbers at once. No multiply-add, so that the bits are the same on every
// processor.
template <typename Loop, typename... Arguments>
__attribute__((target("avx2"))) auto wide(Arguments... arguments) {
  return Loop::run(arguments...);
}
#endif

// The form of `Loop::run`, which is to be LOOKAHEAD_INLINE, that is fastest on this processor.
template <typename Loop, typename... Arguments>
auto fastest() {
#if defined(__x86_64__)
  static const bool avx2 = __builtin_cpu_supports("avx2");
  if (avx2) return &wide<Loop, Arguments...>;
#endif
  return &narrow<Loop, Arguments...>;
}

}  // namespace lookahead
