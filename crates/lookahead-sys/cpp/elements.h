// The element types that the CPU loops support.
#pragma once

#include <c10/core/ScalarType.h>

#include <cstdint>

#include "wide.h"

namespace lookahead {

// A type's bits. Infinity and NaN are the numbers whose exponent bits are all ones.
template <typename T>
struct Layout;
template <>
struct Layout<float> {
  using Bits = std::uint32_t;
  static constexpr Bits exponent = 0x7f800000u;
};
template <>
struct Layout<double> {
  using Bits = std::uint64_t;
  static constexpr Bits exponent = 0x7ff0000000000000u;
};
template <>
struct Layout<at::BFloat16> {
  using Bits = std::uint16_t;
  static constexpr Bits exponent = 0x7f80u;
};
template <>
struct Layout<at::Half> {
  using Bits = std::uint16_t;
  static constexpr Bits exponent = 0x7c00u;
};

// All ones for infinity and NaN, like a vector comparison; 0 for finite numbers.
template <typename T, typename Bits = typename Layout<T>::Bits>
LOOKAHEAD_INLINE Bits beyond(Bits bits) {
  constexpr Bits exponent = Layout<T>::exponent;
  return (bits & exponent) == exponent ? static_cast<Bits>(~Bits(0)) : Bits(0);
}

// The type of the computation, and the type that is read.
template <typename W, typename N>
struct Types {
  using Wide = W;
  using Narrow = N;
};

// Calls `use` with these types; a zero of its result type if there is no loop for them.
template <typename Use>
auto for_types(at::ScalarType wide, at::ScalarType narrow, const Use& use)
    -> decltype(use(Types<float, float>{})) {
  if (wide == at::kFloat && narrow == at::kFloat) return use(Types<float, float>{});
  if (wide == at::kDouble && narrow == at::kDouble) return use(Types<double, double>{});
  if (wide == at::kFloat && narrow == at::kBFloat16) return use(Types<float, at::BFloat16>{});
  if (wide == at::kFloat && narrow == at::kHalf) return use(Types<float, at::Half>{});
  return {};
}

}  // namespace lookahead
