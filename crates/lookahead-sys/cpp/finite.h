// Looking for NaN and infinity in a part of a tensor.
#pragma once

#include <c10/core/ScalarType.h>

#include <cstdint>

namespace lookahead {

// Whether the elements from..to are finite.
using Finite = bool (*)(const void* values, std::int64_t from, std::int64_t to);

// The loop for this element type; null if there is none.
Finite finite_for(at::ScalarType type);

}  // namespace lookahead
