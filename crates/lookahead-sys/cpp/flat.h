// One parallel loop over the elements of many tensors, as if they lay end to end.
#pragma once

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace lookahead {

// Elements for which it pays to wake another thread.
constexpr std::int64_t kGrain = 1 << 15;

// Where there are thousands of small tensors the time goes to waiting for their headers, one after the
// other. While tensor `i` is worked on, this asks the memory for those that come a little later: handles
// first, then the headers that they point to. `handle(j)` is the j-th of `count` handles.
template <typename Handle>
inline void ask_for(std::size_t i, std::size_t count, const Handle& handle) {
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

// Whether the elements fill their memory without gaps or overlaps, in whatever order.
inline bool is_dense(const at::Tensor& tensor) {
  return tensor.layout() == at::kStrided && tensor.is_non_overlapping_and_dense();
}

// Whether element i in memory is the same element of both.
inline bool same_order(const at::Tensor& a, const at::Tensor& b) {
  return a.sizes() == b.sizes() && (a.strides() == b.strides() || (a.is_contiguous() && b.is_contiguous()));
}

// Whether one loop on the CPU goes over the other tensor's elements as they lie beside those of the first.
inline bool lies_beside(const at::Tensor& first, const at::Tensor& other) {
  return other.is_cpu() && is_dense(other) && same_order(first, other);
}

// Calls `use(part, from, to)` for stretches of each part's elements, in parallel. A part has the
// field `end`: how many elements there are up to and with it.
template <typename Part, typename Use>
void for_each_stretch(const std::vector<Part>& parts, const Use& use) {
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
