// Muon's step: momentum, whose matrices a Newton-Schulz iteration orthogonalizes.
//
// Matrices of one shape go through the iteration together, in batched products: of many small ones the calls would
// cost more than the arithmetic. On the CPU the momentum and the weights take one pass each.

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_lerp.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/baddbmm.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/stack.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "flat.h"
#include "lookahead-sys/src/ffi.rs.h"
#include "shim.h"
#include "wide.h"

namespace lookahead {
namespace {

// Elements that go through the iteration together: few enough for the caches of a CPU, many enough to fill a GPU.
constexpr std::int64_t kCpuElements = 1 << 18;
constexpr std::int64_t kGpuElements = 1 << 26;

// What the iteration computes in.
struct Arithmetic {
  at::ScalarType type;
  // In single precision, rounded to bfloat16 after each operation. A product of bfloat16 matrices is just that: it
  // sums in single precision and rounds once.
  bool rounds;
};

// Whether the processor multiplies in bfloat16. Where it does not, libtorch's bfloat16 products take 2 to 35 times
// as long as those in single precision.
bool multiplies_bfloat16() {
#if defined(__x86_64__)
  static const bool native = [] {
    // Limits the instructions that oneDNN uses.
    const char* limit = std::getenv("ONEDNN_MAX_CPU_ISA");
    if (limit == nullptr) limit = std::getenv("DNNL_MAX_CPU_ISA");
    const std::string most = limit == nullptr ? "ALL" : limit;
    const char* const sets[] = {"ALL", "DEFAULT", "BF16", "FP16", "AMX", "AVX10"};
    const bool allowed = std::any_of(std::begin(sets), std::end(sets), [&](const char* set) {
      return most.find(set) != std::string::npos;
    });
    return allowed && __builtin_cpu_supports("avx512bf16");
  }();
  return native;
#else
  return false;
#endif
}

Arithmetic arithmetic_for(const Tensor& tensor, const MuonRule& rule) {
  if (rule.full_precision) return {tensor.scalar_type() == at::kDouble ? at::kDouble : at::kFloat, false};
  if (tensor.is_cpu() && !multiplies_bfloat16()) return {at::kFloat, true};
  return {at::kBFloat16, false};
}

// The nearest bfloat16, ties to even.
LOOKAHEAD_INLINE float to_bfloat16(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  const std::uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) & 0xffff0000u;
  bits = (bits & 0x7fffffffu) > 0x7f800000u ? 0x7fc00000u : rounded;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

struct RoundPass {
  static LOOKAHEAD_INLINE void run(float* values, std::int64_t from, std::int64_t to) {
    for (std::int64_t i = from; i < to; ++i) values[i] = to_bfloat16(values[i]);
  }
};

void round(const Tensor& tensor) {
  const auto pass = fastest<RoundPass, float*, std::int64_t, std::int64_t>();
  float* values = tensor.mutable_data_ptr<float>();
  at::parallel_for(0, tensor.numel(), kGrain, [&](std::int64_t from, std::int64_t to) { pass(values, from, to); });
}

// The iteration's memory.
struct Workspace {
  Tensor matrices, next, gram, polynomial;

  explicit Workspace(Tensor x)
      : matrices(std::move(x)),
        next(at::empty_like(matrices)),
        gram(at::empty({matrices.size(0), shorter(), shorter()}, matrices.options())),
        polynomial(at::empty_like(gram)) {}

  // A part of it, for fewer matrices.
  Workspace first(std::int64_t count) const {
    Workspace part(*this);
    for (Tensor* all : {&part.matrices, &part.next, &part.gram, &part.polynomial}) *all = all->narrow(0, 0, count);
    return part;
  }

 private:
  std::int64_t shorter() const { return std::min(matrices.size(1), matrices.size(2)); }
};

// Orthogonalizes `work.matrices`:
//
//     X <- X / max(|X|, eps), then in each step  A = X X^T;  B = bA + cA^2;  X <- aX + BX
//
// On tall matrices that would be on their transposes, which is the same as A = X^T X and X <- aX + XB.
void orthogonalize(Workspace& work, const MuonRule& rule, bool rounds) {
  auto& [x, next, gram, polynomial] = work;
  const bool tall = x.size(1) > x.size(2);
  const auto done = [&](const Tensor& result) {
    if (rounds) round(result);
  };
  const Tensor norm = at::linalg_vector_norm(x, 2, at::IntArrayRef({1, 2}), /*keepdim=*/true);
  done(norm);
  x.div_(norm.clamp_min(rule.eps));
  done(x);
  for (std::uint32_t step = 0; step < rule.steps; ++step) {
    if (tall) {
      at::bmm_out(gram, x.mT(), x);
    } else {
      at::bmm_out(gram, x, x.mT());
    }
    done(gram);
    at::baddbmm_out(polynomial, gram, gram, gram, rule.b, rule.c);
    done(polynomial);
    if (tall) {
      at::baddbmm_out(next, x, x, polynomial, rule.a);
    } else {
      at::baddbmm_out(next, x, polynomial, x, rule.a);
    }
    done(next);
    std::swap(x, next);
  }
}

// A parameter in the passes on the CPU.
struct Pass {
  void* weights;
  const void* gradient;
  void* momentum;
  // Its matrix in the workspace.
  void* matrix;
  std::int64_t end;
};

// A number in the iteration's type.
template <typename T, typename X, bool rounds>
LOOKAHEAD_INLINE X entry(T value) {
  if constexpr (rounds) return to_bfloat16(static_cast<float>(value));
  return static_cast<X>(value);
}

// Exact at the nearer end, as libtorch's.
template <typename T>
LOOKAHEAD_INLINE T lerp(T from, T to, T weight, T rest) {
  return weight < T(0.5) ? from + weight * (to - from) : to - rest * (to - from);
}

// m <- m + (1 - mu)(g - m); the matrix is m, or g + mu (m - g) in Nesterov's form.
template <typename T, typename X, bool rounds>
struct MomentumPass {
  static LOOKAHEAD_INLINE void run(const MuonRule& rule, const Pass& part, std::int64_t from, std::int64_t to) {
    const T* __restrict__ gradient = static_cast<const T*>(part.gradient);
    T* __restrict__ momentum = static_cast<T*>(part.momentum);
    X* __restrict__ matrix = static_cast<X*>(part.matrix);
    const T keep = static_cast<T>(rule.momentum), take = static_cast<T>(1 - rule.momentum);
    if (rule.nesterov) {
      for (std::int64_t i = from; i < to; ++i) {
        const T mean = lerp(momentum[i], gradient[i], take, keep);
        momentum[i] = mean;
        matrix[i] = entry<T, X, rounds>(lerp(gradient[i], mean, keep, take));
      }
    } else {
      for (std::int64_t i = from; i < to; ++i) {
        const T mean = lerp(momentum[i], gradient[i], take, keep);
        momentum[i] = mean;
        matrix[i] = entry<T, X, rounds>(mean);
      }
    }
  }
};

// What the matrices of a bucket have in common.
struct Bucket {
  std::int64_t rows, columns;
  // The factor of the weights, and that of the orthogonal matrix.
  double keep, rate;
};

// theta <- (1 - lr wd) theta - lr' X
template <typename T, typename X>
struct WeightsPass {
  static LOOKAHEAD_INLINE void run(const Bucket& bucket, const Pass& part, std::int64_t from, std::int64_t to) {
    T* __restrict__ weights = static_cast<T*>(part.weights);
    const X* __restrict__ matrix = static_cast<const X*>(part.matrix);
    const T keep = static_cast<T>(bucket.keep), rate = static_cast<T>(bucket.rate);
    for (std::int64_t i = from; i < to; ++i) {
      weights[i] = weights[i] * keep - rate * static_cast<T>(matrix[i]);
    }
  }
};

// One parameter with its gradient in the same type and order.
struct Member {
  Tensor weights, gradient, momentum;
};
using Members = std::vector<Member>;

// ATen's operations move version counters, the passes don't. Without that, autograd would run an older graph on the
// new values.
void count_writes(const Member& member) {
  member.weights.unsafeGetTensorImpl()->bump_version();
  member.momentum.unsafeGetTensorImpl()->bump_version();
}

// Calls `use` with the iteration's type and whether it rounds.
template <typename T, typename Use>
void with_entries(Arithmetic arithmetic, const Use& use) {
  if (arithmetic.rounds) return use(float{}, std::true_type{});
  if (arithmetic.type == at::kBFloat16) return use(at::BFloat16{}, std::false_type{});
  return use(T{}, std::false_type{});
}

// The step of matrices on the CPU that lie in memory row by row.
template <typename T>
void step_in_passes(const Bucket& bucket, const Members& members, const MuonRule& rule) {
  const Arithmetic arithmetic = arithmetic_for(members.front().weights, rule);
  const std::int64_t size = bucket.rows * bucket.columns;
  const std::int64_t most = std::clamp<std::int64_t>(kCpuElements / size, 1, members.size());
  const auto options = at::TensorOptions().dtype(arithmetic.type);
  const Workspace whole(at::empty({most, bucket.rows, bucket.columns}, options));
  for (std::size_t begin = 0; begin < members.size(); begin += most) {
    const std::size_t end = std::min(members.size(), begin + most);
    Workspace work = whole.first(end - begin);
    const auto parts_on = [&](const Tensor& matrices) {
      std::vector<Pass> parts;
      parts.reserve(end - begin);
      auto* bytes = static_cast<char*>(matrices.mutable_data_ptr());
      for (std::size_t i = begin; i < end; ++i) {
        const Member& member = members[i];
        const std::int64_t before = size * parts.size();
        parts.push_back({member.weights.mutable_data_ptr(), member.gradient.const_data_ptr(),
                         member.momentum.mutable_data_ptr(), bytes + before * matrices.element_size(), before + size});
      }
      return parts;
    };
    with_entries<T>(arithmetic, [&](auto entry, auto rounds) {
      using X = decltype(entry);
      const auto momentum = fastest<MomentumPass<T, X, decltype(rounds)::value>, const MuonRule&, const Pass&,
                                    std::int64_t, std::int64_t>();
      for_each_range(parts_on(work.matrices), [&](const Pass& part, std::int64_t from, std::int64_t to) {
        momentum(rule, part, from, to);
      });
      orthogonalize(work, rule, arithmetic.rounds);
      const auto weights = fastest<WeightsPass<T, X>, const Bucket&, const Pass&, std::int64_t, std::int64_t>();
      for_each_range(parts_on(work.matrices), [&](const Pass& part, std::int64_t from, std::int64_t to) {
        weights(bucket, part, from, to);
      });
    });
    std::for_each(members.begin() + begin, members.begin() + end, count_writes);
  }
}

// The step of any matrices, in ATen's operations.
void step_by_foreach(const Bucket& bucket, const Members& members, const MuonRule& rule) {
  const Arithmetic arithmetic = arithmetic_for(members.front().weights, rule);
  const bool on_cpu = members.front().weights.is_cpu();
  const std::int64_t size = bucket.rows * bucket.columns;
  const std::int64_t most = std::max<std::int64_t>(1, (on_cpu ? kCpuElements : kGpuElements) / size);
  for (std::size_t begin = 0; begin < members.size(); begin += most) {
    const std::size_t end = std::min<std::size_t>(members.size(), begin + most);
    std::vector<Tensor> weights, gradients, momenta;
    for (std::size_t i = begin; i < end; ++i) {
      weights.push_back(members[i].weights);
      gradients.push_back(members[i].gradient);
      momenta.push_back(members[i].momentum);
    }
    at::_foreach_lerp_(momenta, gradients, 1 - rule.momentum);
    std::vector<Tensor> matrices = rule.nesterov ? at::_foreach_lerp(gradients, momenta, rule.momentum) : momenta;
    for (Tensor& matrix : matrices) matrix = matrix.reshape({bucket.rows, bucket.columns});
    Tensor stacked = at::stack(matrices);
    if (arithmetic.rounds) stacked = stacked.to(at::kBFloat16);
    Workspace work(stacked.to(arithmetic.type));
    orthogonalize(work, rule, arithmetic.rounds);
    // One kernel adds lists of one type only, and widening is exact.
    const at::ScalarType type = weights.front().scalar_type();
    if (type == at::kFloat || type == at::kDouble) work.matrices = work.matrices.to(type);
    std::vector<Tensor> updates = work.matrices.unbind();
    for (std::size_t i = 0; i < updates.size(); ++i) updates[i] = updates[i].view(weights[i].sizes());
    at::_foreach_mul_(weights, bucket.keep);
    at::_foreach_add_(weights, updates, -bucket.rate);
  }
}

// The gradient in the weights' type and order; a copy if autograd gave it in another.
Tensor like(const Tensor& gradient, const Tensor& weights) {
  const bool fits = gradient.scalar_type() == weights.scalar_type() && is_dense(gradient);
  if (fits && same_order(gradient, weights)) return gradient;
  Tensor copy = at::empty_like(weights);
  copy.copy_(gradient);
  return copy;
}

// Whether the passes can take a parameter. The order within a row does not matter: the iteration commutes with
// every permutation of columns.
bool lies_in_rows(const Member& member, std::int64_t rows) {
  const Tensor& weights = member.weights;
  const bool wide = weights.scalar_type() == at::kFloat || weights.scalar_type() == at::kDouble;
  return wide && weights.is_cpu() && is_dense(weights) && (rows == 1 || weights.stride(0) * rows == weights.numel()) &&
      member.momentum.scalar_type() == weights.scalar_type() && matches(weights, member.momentum);
}

void check_rank(const Tensor& tensor) {
  TORCH_CHECK(tensor.dim() >= 2, "Muon moves matrices, and a tensor of the shape ", tensor.sizes(), " is not one.");
}

}  // namespace

void muon_step(rust::Slice<const MuonPart> parts, MuonRule rule) {
  const at::NoGradGuard no_grad;
  const c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::autocast_dispatch_keyset);
  // Device, element type, whether the passes take it, rows, columns, learning rate and weight decay.
  using Key = std::tuple<c10::DeviceType, c10::DeviceIndex, at::ScalarType, bool, std::int64_t, std::int64_t, double, double>;
  std::map<Key, Members> buckets;
  for (const MuonPart& part : parts) {
    const Tensor& weights = *part.weights;
    check_rank(weights);
    if (weights.numel() == 0) continue;
    Member member{weights, like(*part.gradient, weights), *part.momentum};
    const std::int64_t rows = weights.size(0), columns = weights.numel() / rows;
    const bool flat = lies_in_rows(member, rows);
    const c10::Device device = weights.device();
    const Key key{device.type(), device.index(), weights.scalar_type(), flat, rows, columns, part.learning_rate, part.weight_decay};
    buckets[key].push_back(std::move(member));
  }
  for (const auto& [key, members] : buckets) {
    const auto& [device, index, type, flat, rows, columns, learning_rate, weight_decay] = key;
    const double height = static_cast<double>(rows), width = static_cast<double>(columns);
    const double scale = rule.match_rms ? 0.2 * std::sqrt(std::max(height, width)) : std::sqrt(std::max(1.0, height / width));
    const Bucket bucket{rows, columns, 1 - learning_rate * weight_decay, learning_rate * scale};
    if (!flat) {
      step_by_foreach(bucket, members, rule);
    } else if (type == at::kDouble) {
      step_in_passes<double>(bucket, members, rule);
    } else {
      step_in_passes<float>(bucket, members, rule);
    }
  }
}

std::unique_ptr<Tensor> muon_orthogonalized(const Tensor& matrix, MuonRule rule) {
  const at::NoGradGuard no_grad;
  const c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::autocast_dispatch_keyset);
  check_rank(matrix);
  if (matrix.numel() == 0) return std::make_unique<Tensor>(matrix.detach().clone());
  const Arithmetic arithmetic = arithmetic_for(matrix, rule);
  Tensor x = matrix.reshape({1, matrix.size(0), -1});
  if (arithmetic.rounds) x = x.to(at::kBFloat16);
  Workspace work(x.to(x.options().dtype(arithmetic.type), /*non_blocking=*/false, /*copy=*/true).contiguous());
  orthogonalize(work, rule, arithmetic.rounds);
  return std::make_unique<Tensor>(work.matrices.reshape(matrix.sizes()).to(matrix.scalar_type()));
}

}  // namespace lookahead
