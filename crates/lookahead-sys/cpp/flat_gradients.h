// The gradients of many parameters on the CPU, as one range of numbers.
#pragma once

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

#include "flat.h"
#include "wide.h"

namespace lookahead {

// The type to compute with numbers of type T in.
template <typename T>
using Computed = std::conditional_t<std::is_same_v<T, double>, double, float>;

// The sum of squares in f64, in 8 sums side by side, so that it is the same to the bit on every processor.
template <typename T>
struct Squares {
  static LOOKAHEAD_INLINE double run(const void* values, std::int64_t from, std::int64_t to) {
    constexpr std::int64_t lanes = 8;
    const T* all = static_cast<const T*>(values);
    double sums[lanes] = {};
    std::int64_t i = from;
    for (; i + lanes <= to; i += lanes) {
      for (std::int64_t lane = 0; lane < lanes; ++lane) {
        const double value = static_cast<double>(static_cast<Computed<T>>(all[i + lane]));
        sums[lane] += value * value;
      }
    }
    double rest = 0.0;
    for (; i < to; ++i) {
      const double value = static_cast<double>(static_cast<Computed<T>>(all[i]));
      rest += value * value;
    }
    return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7])) + rest;
  }
};

template <typename T>
struct Multiply {
  static LOOKAHEAD_INLINE void run(void* values, std::int64_t from, std::int64_t to, double factor) {
    T* all = static_cast<T*>(values);
    const auto by = static_cast<Computed<T>>(factor);
    for (std::int64_t i = from; i < to; ++i) {
      all[i] = static_cast<T>(static_cast<Computed<T>>(all[i]) * by);
    }
  }
};

// NaN stays NaN.
template <typename T>
struct Clamp {
  static LOOKAHEAD_INLINE void run(void* values, std::int64_t from, std::int64_t to, double max) {
    T* all = static_cast<T*>(values);
    // A limit beyond the type's range is no limit.
    constexpr double largest = static_cast<double>(std::numeric_limits<T>::max());
    const T high = static_cast<T>(std::min(max, largest));
    const T low = static_cast<T>(-std::min(max, largest));
    if (max > largest) return;
    for (std::int64_t i = from; i < to; ++i) {
      const T value = all[i];
      all[i] = value > high ? high : value < low ? low : value;
    }
  }
};

class FlatGradients {
 public:
  // Takes a dense gradient of f32 or f64 on the CPU; false for any other.
  bool add(const at::Tensor& gradient) {
    const bool is_double = gradient.scalar_type() == at::kDouble;
    if (!gradient.is_cpu() || !is_dense(gradient)) return false;
    if (is_double) {
      put<double>(gradient);
    } else if (gradient.scalar_type() == at::kFloat) {
      put<float>(gradient);
    } else {
      return false;
    }
    has_doubles_ = has_doubles_ || is_double;
    return true;
  }

  bool has_doubles() const { return has_doubles_; }

  const std::vector<at::Tensor>& tensors() const { return tensors_; }

  // The sum of all squares. The blocks don't depend on the number of threads.
  double squares() const {
    if (parts_.empty()) return 0.0;
    const std::int64_t count = parts_.back().end;
    std::vector<double> sums((count + kGrain - 1) / kGrain);
    at::parallel_for(0, static_cast<std::int64_t>(sums.size()), 1, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t block = first; block < last; ++block) {
        const std::int64_t end = std::min(count, (block + 1) * kGrain);
        each(block * kGrain, end, [&](const Part& part, std::int64_t from, std::int64_t to) {
          sums[block] += part.squares(part.values, from, to);
        });
      }
    });
    double sum = 0.0;
    for (const double block : sums) sum += block;
    return sum;
  }

  // In two passes if the factor itself is too small for f32.
  void multiply(double factor) const {
    const double root = std::sqrt(factor);
    const bool twice = factor < 1e-30;
    for_each_range(parts_, [&](const Part& part, std::int64_t from, std::int64_t to) {
      part.multiply(part.values, from, to, twice ? root : factor);
      if (twice) part.multiply(part.values, from, to, root);
    });
    written();
  }

  void clamp(double max) const {
    for_each_range(parts_, [&](const Part& part, std::int64_t from, std::int64_t to) {
      part.clamp(part.values, from, to, max);
    });
    written();
  }

 private:
  using Change = void (*)(void* values, std::int64_t from, std::int64_t to, double number);

  struct Part {
    void* values;
    std::int64_t end;
    double (*squares)(const void* values, std::int64_t from, std::int64_t to);
    Change multiply;
    Change clamp;
  };

  template <typename T>
  void put(const at::Tensor& gradient) {
    const std::int64_t end = (parts_.empty() ? 0 : parts_.back().end) + gradient.numel();
    tensors_.push_back(gradient);
    if (gradient.numel() == 0) return;
    parts_.push_back({gradient.mutable_data_ptr(), end,
                      fastest<Squares<T>, const void*, std::int64_t, std::int64_t>(),
                      fastest<Multiply<T>, void*, std::int64_t, std::int64_t, double>(),
                      fastest<Clamp<T>, void*, std::int64_t, std::int64_t, double>()});
  }

  // As for_each_range, on the calling thread.
  template <typename Use>
  void each(std::int64_t begin, std::int64_t end, const Use& use) const {
    auto part = std::upper_bound(parts_.begin(), parts_.end(), begin,
                                 [](std::int64_t at, const Part& p) { return at < p.end; });
    for (; begin < end; ++part) {
      const std::int64_t start = part == parts_.begin() ? 0 : std::prev(part)->end;
      const std::int64_t stop = std::min(end, part->end);
      use(*part, begin - start, stop - start);
      begin = stop;
    }
  }

  void written() const {
    for (const at::Tensor& tensor : tensors_) {
      if (!tensor.is_inference()) tensor.unsafeGetTensorImpl()->bump_version();
    }
  }

  std::vector<Part> parts_;
  std::vector<at::Tensor> tensors_;
  bool has_doubles_ = false;
};

}  // namespace lookahead
