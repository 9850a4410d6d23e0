// L2 norms over many tensors together, and clipping by them.
//
// Like PyTorch, a tensor's norm is first computed in its own type, or in f32 for narrower ones. There the squares
// of finite numbers overflow above about 1e19 and underflow below about 1e-19. A norm near these limits is
// computed again in f64, with the numbers divided by the largest of them.
//
// Clipping on the CPU takes one parallel pass over all gradients to sum their squares in f64, where those of f32
// neither overflow nor underflow, and one to scale them.

#include <ATen/core/grad_mode.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/sub.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "flat_gradients.h"
#include "lookahead-sys/src/ffi.rs.h"
#include "shim.h"
#include "values.h"

namespace lookahead {
namespace {

// The numbers of a norm, or their differences from others if `from` is defined.
struct Part {
  Tensor values;
  Tensor from;
};

// largest · ratio. The product can overflow even in f64; the two factors don't.
struct Norm {
  double largest = 0.0;
  double ratio = 1.0;

  double value() const { return largest * ratio; }
};

Tensor own_norm(const Part& part) {
  const Tensor values = part.from.defined() ? at::sub(part.values, part.from) : part.values;
  // Half precision holds no norm above 65,504.
  const auto wide = values.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  return at::linalg_vector_norm(values, 2, at::nullopt, false, wide);
}

Norm scaled_norm(const Part& part) {
  if (part.values.numel() == 0) return {};
  const Tensor values = part.from.defined()
      ? at::sub(part.values.to(at::kDouble), part.from.to(at::kDouble))
      : part.values;
  const double largest =
      at::linalg_vector_norm(values, std::numeric_limits<double>::infinity()).item<double>();
  if (largest == 0.0 || !std::isfinite(largest)) return {largest, 1.0};
  const Tensor scaled = values.to(at::kDouble).div(largest);
  return {largest, at::linalg_vector_norm(scaled, 2).item<double>()};
}

Norm together(const std::vector<Norm>& norms) {
  Norm all;
  for (const Norm& norm : norms) {
    if (std::isnan(norm.largest)) return norm;
    all.largest = std::max(all.largest, norm.largest);
  }
  if (all.largest == 0.0 || std::isinf(all.largest)) return all;
  double squares = 0.0;
  for (const Norm& norm : norms) {
    const double share = norm.largest / all.largest * norm.ratio;
    squares += share * share;
  }
  all.ratio = std::sqrt(squares);
  return all;
}

// Far enough from where squares overflow or underflow, in f32 and, for all norms together, in f64.
bool is_trusted(double norm) { return norm >= 1e-12 && norm <= 1e100; }

Norm norm_of(const std::vector<Part>& parts) {
  if (parts.empty()) return {};
  const c10::Device device = parts.front().values.device();
  std::vector<Tensor> found;
  found.reserve(parts.size());
  for (const Part& part : parts) found.push_back(own_norm(part).to(device, at::kDouble));
  // The only read from the device, unless a norm is computed again.
  const Tensor all = at::stack(found).cpu();
  const double* first = all.const_data_ptr<double>();
  bool trusted = true;
  for (std::size_t i = 0; i < parts.size(); ++i) trusted = trusted && is_trusted(first[i]);
  if (trusted) return {at::linalg_vector_norm(all, 2).item<double>(), 1.0};
  std::vector<Norm> norms;
  norms.reserve(parts.size());
  for (std::size_t i = 0; i < parts.size(); ++i) {
    norms.push_back(is_trusted(first[i]) ? Norm{first[i], 1.0} : scaled_norm(parts[i]));
  }
  return together(norms);
}

// In two steps if the factor itself is too small for f32.
void multiply(const Tensor& tensor, double factor) {
  const double root = std::sqrt(factor);
  if (factor < 1e-30) {
    tensor.mul_(root).mul_(root);
  } else {
    tensor.mul_(factor);
  }
}

}  // namespace

double norm(rust::Slice<const TensorRef> tensors, rust::Slice<const TensorRef> from) {
  const at::NoGradGuard no_grad;
  TORCH_CHECK(from.empty() || from.size() == tensors.size(), "There are ", from.size(),
              " tensors to take the distance of ", tensors.size(), " from.");
  std::vector<Part> parts;
  parts.reserve(tensors.size());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const Tensor base = from.empty() ? Tensor() : values_of(*from[i].tensor);
    parts.push_back({values_of(*tensors[i].tensor), base});
  }
  return norm_of(parts).value();
}

double clip_norm(rust::Slice<const TensorRef> parameters, double max) {
  const at::NoGradGuard no_grad;
  FlatGradients flat;
  std::vector<Tensor> others;
  for (const TensorRef& parameter : parameters) {
    const Tensor& gradient = parameter.tensor->grad();
    if (gradient.defined() && !flat.add(gradient)) others.push_back(gradient);
  }
  double flat_norm = std::sqrt(flat.squares());
  // Only the squares of f64 can have overflowed or underflowed.
  if (flat.has_doubles() && !is_trusted(flat_norm)) {
    others.insert(others.end(), flat.tensors().begin(), flat.tensors().end());
    flat = FlatGradients();
    flat_norm = 0.0;
  }
  std::vector<Part> parts;
  parts.reserve(others.size());
  for (const Tensor& gradient : others) parts.push_back({values_of(gradient), Tensor()});
  const Norm norm = together({Norm{flat_norm, 1.0}, norm_of(parts)});
  if (!std::isfinite(norm.largest)) return norm.largest;
  const double value = norm.value();
  // PyTorch's clip_grad_norm_ keeps the quotient finite by the same small number.
  const double scale =
      std::isfinite(value) ? max / (value + 1e-6) : max / norm.largest / norm.ratio;
  if (scale < 1.0) {
    flat.multiply(scale);
    for (const Tensor& gradient : others) {
      multiply(gradient.is_sparse() ? gradient._values() : gradient, scale);
    }
  }
  return value;
}

void clip_value(rust::Slice<const TensorRef> parameters, double max) {
  const at::NoGradGuard no_grad;
  FlatGradients flat;
  std::vector<Tensor> others;
  for (const TensorRef& parameter : parameters) {
    const Tensor& gradient = parameter.tensor->grad();
    if (!gradient.defined()) continue;
    TORCH_CHECK(!gradient.is_sparse(), "A sparse gradient can't be clipped by value. Clip it by its norm.");
    if (!flat.add(gradient)) others.push_back(gradient);
  }
  flat.clamp(max);
  for (const Tensor& gradient : others) gradient.clamp_(-max, max);
}

}  // namespace lookahead
