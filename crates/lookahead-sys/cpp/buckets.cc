// Copies between many tensors and the few flat ones that are sent, and a hash that tells whether two
// processes have the same bits.

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_copy.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/sub.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <vector>

#include "elements.h"
#include "flat.h"
#include "lookahead-sys/src/ffi.rs.h"
#include "lookahead-sys/src/ffi/distributed.rs.h"
#include "shim.h"

namespace lookahead {
namespace {

struct Part {
  void* target;
  const void* source;
  // What is subtracted; null for the values themselves.
  const void* base;
  std::int64_t end;
  bool (*pass)(const Part& part, double scale, std::int64_t from, std::int64_t to);
};

template <typename Bits, typename Value>
Bits bits_as(Value value) {
  static_assert(sizeof(Bits) == sizeof(Value));
  Bits bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

// To the nearest, ties to even. Without branches, so that the loop vectorizes.
LOOKAHEAD_INLINE std::uint16_t rounded(float value) {
  const auto bits = bits_as<std::uint32_t>(value);
  const std::uint32_t nearest = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const bool is_nan = (bits & 0x7fffffffu) > 0x7f800000u;
  return static_cast<std::uint16_t>(is_nan ? 0x7fc0u : nearest);
}

// target ← source · scale. Returns whether all results are finite. T is the target's type, F the source's.
template <typename T, typename F>
struct Values {
  static LOOKAHEAD_INLINE bool run(const Part& part, double scale, std::int64_t from, std::int64_t to) {
    using Bits = typename Layout<T>::Bits;
    T* __restrict__ out = static_cast<T*>(part.target);
    const F* __restrict__ in = static_cast<const F*>(part.source);
    const T factor = static_cast<T>(scale);
    Bits found = 0;
    for (std::int64_t i = from; i < to; ++i) {
      const T value = static_cast<T>(in[i]) * factor;
      out[i] = value;
      found |= beyond<T>(bits_as<Bits>(value));
    }
    return found == 0;
  }
};

// target ← (source − base) · scale, computed in the base's type C and rounded to bfloat16. Returns whether all
// results are finite. F is the source's type.
template <typename C, typename F>
struct Differences {
  static LOOKAHEAD_INLINE bool run(const Part& part, double scale, std::int64_t from, std::int64_t to) {
    constexpr std::int64_t block = 512;  // fits the L1 cache
    float values[block];
    const C factor = static_cast<C>(scale);
    std::uint16_t found = 0;
    for (std::int64_t at = from; at < to; at += block) {
      const std::int64_t count = std::min(block, to - at);
      std::uint16_t* __restrict__ out = static_cast<std::uint16_t*>(part.target) + at;
      const F* __restrict__ in = static_cast<const F*>(part.source) + at;
      const C* __restrict__ base = static_cast<const C*>(part.base) + at;
      // Separate loops, each over one width, vectorize.
      for (std::int64_t i = 0; i < count; ++i) {
        values[i] = static_cast<float>((static_cast<C>(in[i]) - base[i]) * factor);
      }
      for (std::int64_t i = 0; i < count; ++i) out[i] = rounded(values[i]);
      for (std::int64_t i = 0; i < count; ++i) found |= beyond<at::BFloat16>(out[i]);
    }
    return found == 0;
  }
};

using Pass = decltype(Part::pass);

template <typename Loop>
Pass pass() {
  return fastest<Loop, const Part&, double, std::int64_t, std::int64_t>();
}

Pass pass_for(const Tensor& target, const Tensor& source, const Tensor* base) {
  if (!matches(target, target) || !matches(target, source)) return nullptr;
  if (base == nullptr) {
    return for_types(target.scalar_type(), source.scalar_type(), [](auto types) {
      return pass<Values<typename decltype(types)::Wide, typename decltype(types)::Narrow>>();
    });
  }
  if (!matches(target, *base) || target.scalar_type() != at::kBFloat16) return nullptr;
  return for_types(base->scalar_type(), source.scalar_type(), [](auto types) {
    return pass<Differences<typename decltype(types)::Wide, typename decltype(types)::Narrow>>();
  });
}

}  // namespace

bool copy_all_scaled(rust::Slice<const TensorRef> targets, rust::Slice<const TensorRef> sources,
                     rust::Slice<const TensorRef> bases, double scale) {
  const at::NoGradGuard no_grad;
  TORCH_CHECK(targets.size() == sources.size() && (bases.empty() || bases.size() == sources.size()),
              "There are ", targets.size(), " targets for ", sources.size(), " sources and ",
              bases.size(), " bases.");
  std::vector<Part> parts;
  std::vector<Tensor> onto, from;
  std::int64_t end = 0;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const Tensor& target = *targets[i].tensor;
    const Tensor& source = *sources[i].tensor;
    const Tensor* base = bases.empty() ? nullptr : bases[i].tensor;
    TORCH_CHECK(target.sizes() == source.sizes(), "A tensor of the shape ", source.sizes(),
                " can't be copied to one of ", target.sizes(), ".");
    TORCH_CHECK(base == nullptr || base->sizes() == source.sizes(), "A tensor of the shape ",
                source.sizes(), " has no difference from one of ", base->sizes(), ".");
    if (source.numel() == 0) continue;
    const Pass flat = pass_for(target, source, base);
    if (flat != nullptr) {
      end += source.numel();
      parts.push_back({target.mutable_data_ptr(), source.const_data_ptr(),
                       base == nullptr ? nullptr : base->const_data_ptr(), end, flat});
      target.unsafeGetTensorImpl()->bump_version();
    } else {
      onto.push_back(target.detach());
      from.push_back(base == nullptr ? source.detach() : at::sub(source.detach(), *base));
    }
  }
  std::atomic<bool> finite{true};
  for_each_range(parts, [&](const Part& part, std::int64_t first, std::int64_t last) {
    if (!part.pass(part, scale, first, last)) finite.store(false, std::memory_order_relaxed);
  });
  if (onto.empty()) return finite;
  at::_foreach_copy_(onto, from);
  if (scale != 1.0) {
    for (Tensor& target : onto) target.mul_(scale);
  }
  return false;
}

bool fills_its_memory(const Tensor& tensor) { return is_dense(tensor); }

bool same_layout(rust::Slice<const TensorRef> some, rust::Slice<const TensorRef> others) {
  if (some.size() != others.size()) return false;
  for (std::size_t i = 0; i < some.size(); ++i) {
    const Tensor& a = *some[i].tensor;
    const Tensor& b = *others[i].tensor;
    if (a.sizes() != b.sizes() || a.strides() != b.strides() || a.device() != b.device()) return false;
  }
  return true;
}

namespace {

// FNV-1a over 64-bit words. The shift lets high bits reach low ones; otherwise two flipped signs would cancel.
void add_to(std::uint64_t& hash, const void* bytes, std::size_t count) {
  for (std::size_t i = 0; i < count; i += sizeof(std::uint64_t)) {
    std::uint64_t word = 0;
    std::memcpy(&word, static_cast<const char*>(bytes) + i, std::min(sizeof word, count - i));
    hash = (hash ^ word) * 0x100000001b3u;
    hash ^= hash >> 32;
  }
}

}  // namespace

std::uint64_t bits_of(rust::Slice<const TensorRef> tensors, std::uint64_t share, std::uint64_t shares) {
  constexpr std::int64_t block = 1 << 14;  // elements
  const at::NoGradGuard no_grad;
  std::uint64_t hash = 0xcbf29ce484222325u;
  std::uint64_t number = 0;
  for (const TensorRef& ref : tensors) {
    const Tensor& tensor = *ref.tensor;
    const bool in_place = tensor.is_cpu() && is_dense(tensor);
    std::vector<Tensor> elsewhere;
    for (std::int64_t at = 0; at < tensor.numel(); at += block, ++number) {
      if (number % shares != share) continue;
      const std::int64_t count = std::min(block, tensor.numel() - at);
      if (in_place) {
        const std::size_t width = tensor.element_size();
        add_to(hash, static_cast<const char*>(tensor.const_data_ptr()) + at * width, count * width);
      } else {
        elsewhere.push_back(tensor.detach().reshape({-1}).narrow(0, at, count));
      }
    }
    if (!elsewhere.empty()) {
      const Tensor here = at::cat(elsewhere).cpu();
      add_to(hash, here.const_data_ptr(), here.nbytes());
    }
  }
  return hash;
}

}  // namespace lookahead
