// One parallel loop over the elements of many tensors, as if they lay end to end.
#pragma once

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace lookahead {

// Elements that are worth waking another thread for.
constexpr std::int64_t kGrain = 1 << 15;

// Tensors whose headers are worth it.
constexpr std::int64_t kHeaders = 1 << 9;

// With thousands of small tensors, most of the time is cache misses on their headers. While tensor `i` is
// processed, this prefetches later ones: handles first, then the headers that they point to. `handle(j)` is
// the j-th of `count` handles.
template <typename Handle>
inline void prefetch(std::size_t i, std::size_t count, const Handle& handle) {
#if defined(__GNUC__)
  constexpr std::size_t far = 24, near = 12;
  if (i + far < count) __builtin_prefetch(handle(i + far));
  if (i + near < count) {
    const auto* header = reinterpret_cast<const char*>(handle(i + near)->unsafeGetTensorImpl());
    for (std::size_t line = 0; line < sizeof(c10::TensorImpl); line += 64) {
      __builtin_prefetch(header + line);
    }
  }
#endif
}

// Whether the elements fill their memory without gaps or overlaps, in any order.
inline bool is_dense(const at::Tensor& tensor) {
  return tensor.layout() == at::kStrided && tensor.is_non_overlapping_and_dense();
}

// Whether element i in memory is the same element in both.
inline bool same_order(const at::Tensor& a, const at::Tensor& b) {
  return a.sizes() == b.sizes() && (a.strides() == b.strides() || (a.is_contiguous() && b.is_contiguous()));
}

// Whether one loop on the CPU can walk over both tensors' memory in parallel.
inline bool matches(const at::Tensor& first, const at::Tensor& other) {
  return other.is_cpu() && is_dense(other) && same_order(first, other);
}

// Calls `use(part, from, to)` in parallel for ranges of each part's elements. The field `end` of a part is the
// number of elements up to and including it.
template <typename Part, typename Use>
void for_each_range(const std::vector<Part>& parts, const Use& use) {
  if (parts.empty()) return;
  at::parallel_for(0, parts.back().end, kGrain, [&](std::int64_t begin, std::int64_t end) {
    auto part = std::upper_bound(parts.begin(), parts.end(), begin,
                                 [](std::int64_t at, const Part& p) { return at < p.end; });
    for (; begin < end; ++part) {
      const std::int64_t start = part == parts.begin() ? 0 : std::prev(part)->end;
      const std::int64_t stop = std::min(end, part->end);
      use(*part, begin - start, stop - start);
      begin = stop;
    }
  });
}

}  // namespace lookahead
