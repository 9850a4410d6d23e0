// Half precision in blocks: conversions to and from single precision, eight numbers at once. They round as c10's, to
// nearest even.
#pragma once

#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>

#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "wide.h"

namespace lookahead {

LOOKAHEAD_INLINE void convert(const at::BFloat16* from, float* to, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    const std::uint32_t bits = static_cast<std::uint32_t>(from[i].x) << 16;
    std::memcpy(to + i, &bits, sizeof(bits));
  }
}

LOOKAHEAD_INLINE void convert(const float* from, at::BFloat16* to, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    std::uint32_t bits;
    std::memcpy(&bits, from + i, sizeof(bits));
    // Compared as signed numbers, for which AVX2 has an instruction.
    const bool is_nan = static_cast<std::int32_t>(bits & 0x7fffffffu) > 0x7f800000;
    const std::uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    to[i].x = static_cast<std::uint16_t>(is_nan ? 0x7fc0u : rounded);
  }
}

namespace half {

inline void widen_each(const at::Half* from, float* to, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) to[i] = static_cast<float>(from[i]);
}

inline void narrow_each(const float* from, at::Half* to, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) to[i] = static_cast<at::Half>(from[i]);
}

#if defined(__x86_64__)
__attribute__((target("avx2,f16c"))) inline void widen_eight(const at::Half* from, float* to, std::int64_t count) {
  std::int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    _mm256_storeu_ps(to + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i))));
  }
  widen_each(from + i, to + i, count - i);
}

__attribute__((target("avx2,f16c"))) inline void narrow_eight(const float* from, at::Half* to, std::int64_t count) {
  std::int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const __m128i rounded = _mm256_cvtps_ph(_mm256_loadu_ps(from + i), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i), rounded);
  }
  narrow_each(from + i, to + i, count - i);
}

// Every processor with AVX2 has F16C too, for which GCC 10 cannot ask.
inline bool has_eight() {
  static const bool has = __builtin_cpu_supports("avx2");
  return has;
}
#endif

}  // namespace half

inline void convert(const at::Half* from, float* to, std::int64_t count) {
#if defined(__x86_64__)
  if (half::has_eight()) return half::widen_eight(from, to, count);
#endif
  half::widen_each(from, to, count);
}

inline void convert(const float* from, at::Half* to, std::int64_t count) {
#if defined(__x86_64__)
  if (half::has_eight()) return half::narrow_eight(from, to, count);
#endif
  half::narrow_each(from, to, count);
}

}  // namespace lookahead
