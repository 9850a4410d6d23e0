// L2 norms over many tensors together, and clipping by them.
//
// Like PyTorch, a tensor's norm is first computed in its own type, or in f32 for narrower ones. There the squares
// of finite numbers overflow above about 1e19 and underflow below about 1e-19. A norm near these limits is
// computed again in f64, with the numbers divided by the largest of them.
//
// Clipping on the CPU takes one parallel pass over all gradients to sum their squares in f64, where those of f32
// neither overflow nor underflow, and one to scale them. On other devices ATen's foreach operations do it, for all
// gradients of one type together.

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_clamp_max.h>
#include <ATen/ops/_foreach_clamp_min.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/cat.h>
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

// Half precision holds no norm above 65,504.
at::ScalarType wide(const Tensor& values) {
  return values.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
}

Tensor own_norm(const Part& part) {
  const Tensor values = part.from.defined() ? at::sub(part.values, part.from) : part.values;
  return at::linalg_vector_norm(values, 2, at::nullopt, false, wide(values));
}

bool suits_foreach(const Tensor& tensor, bool foreach) {
  return (foreach || !tensor.is_cpu()) && tensor.layout() == at::kStrided &&
      at::isFloatingType(tensor.scalar_type());
}

// The places of tensors of one device and type for each foreach call, and those of the others.
struct Batches {
  std::vector<std::vector<std::size_t>> batches;
  std::vector<std::size_t> others;
};

Batches in_batches(const std::vector<Tensor>& tensors, bool foreach) {
  Batches found;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (!suits_foreach(tensors[i], foreach)) {
      found.others.push_back(i);
      continue;
    }
    const auto fits = [&](const std::vector<std::size_t>& batch) {
      const Tensor& first = tensors[batch.front()];
      return first.device() == tensors[i].device() && first.scalar_type() == tensors[i].scalar_type();
    };
    const auto batch = std::find_if(found.batches.begin(), found.batches.end(), fits);
    if (batch == found.batches.end()) {
      found.batches.push_back({i});
    } else {
      batch->push_back(i);
    }
  }
  return found;
}

std::vector<Tensor> selected(const std::vector<Tensor>& tensors, const std::vector<std::size_t>& places) {
  std::vector<Tensor> found;
  found.reserve(places.size());
  for (const std::size_t place : places) found.push_back(tensors[place]);
  return found;
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

// In f64, in the order of the tensors, on the CPU. The only read from the device.
Tensor own_norms(const std::vector<Part>& parts, bool foreach) {
  const c10::Device device = parts.front().values.device();
  std::vector<Tensor> values;
  values.reserve(parts.size());
  for (const Part& part : parts) values.push_back(part.values);
  std::vector<std::size_t> places;
  std::vector<Tensor> found;
  const auto [batches, others] = in_batches(values, foreach);
  for (const std::vector<std::size_t>& batch : batches) {
    std::vector<Tensor> tensors = selected(values, batch);
    if (parts.front().from.defined()) {
      for (std::size_t i = 0; i < batch.size(); ++i) tensors[i] = at::sub(tensors[i], parts[batch[i]].from);
    }
    const auto norms = at::_foreach_norm(tensors, 2, wide(tensors.front()));
    found.push_back(at::stack(norms).to(device, at::kDouble));
    places.insert(places.end(), batch.begin(), batch.end());
  }
  for (const std::size_t place : others) {
    found.push_back(own_norm(parts[place]).to(device, at::kDouble).reshape({1}));
    places.push_back(place);
  }
  const Tensor all = at::cat(found).cpu();
  const Tensor ordered = all.clone();
  const double* from = all.const_data_ptr<double>();
  double* to = ordered.mutable_data_ptr<double>();
  for (std::size_t i = 0; i < places.size(); ++i) to[places[i]] = from[i];
  return ordered;
}

Norm norm_of(const std::vector<Part>& parts, bool foreach) {
  if (parts.empty()) return {};
  const Tensor all = own_norms(parts, foreach);
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
void multiply(const std::vector<Tensor>& tensors, double factor, bool foreach) {
  const int steps = factor < 1e-30 ? 2 : 1;
  if (steps == 2) factor = std::sqrt(factor);
  const auto [batches, others] = in_batches(tensors, foreach);
  for (int step = 0; step < steps; ++step) {
    for (const std::vector<std::size_t>& batch : batches) {
      at::_foreach_mul_(selected(tensors, batch), factor);
    }
    for (const std::size_t place : others) tensors[place].mul_(factor);
  }
}

}  // namespace

namespace {

std::vector<Part> parts_of(rust::Slice<const TensorRef> tensors, rust::Slice<const TensorRef> from) {
  TORCH_CHECK(from.empty() || from.size() == tensors.size(), "There are ", from.size(),
              " tensors to take the distance of ", tensors.size(), " from.");
  std::vector<Part> parts;
  parts.reserve(tensors.size());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const Tensor base = from.empty() ? Tensor() : values_of(*from[i].tensor);
    parts.push_back({values_of(*tensors[i].tensor), base});
  }
  return parts;
}

}  // namespace

double norm(rust::Slice<const TensorRef> tensors, rust::Slice<const TensorRef> from) {
  const at::NoGradGuard no_grad;
  return norm_of(parts_of(tensors, from), false).value();
}

rust::Vec<double> norms(rust::Slice<const TensorRef> tensors, rust::Slice<const TensorRef> from) {
  const at::NoGradGuard no_grad;
  const std::vector<Part> parts = parts_of(tensors, from);
  rust::Vec<double> found;
  if (parts.empty()) return found;
  const Tensor all = own_norms(parts, false);
  const double* first = all.const_data_ptr<double>();
  for (std::size_t i = 0; i < parts.size(); ++i) {
    found.push_back(is_trusted(first[i]) ? first[i] : scaled_norm(parts[i]).value());
  }
  return found;
}

double clip_norm(rust::Slice<const TensorRef> parameters, double max, bool foreach) {
  const at::NoGradGuard no_grad;
  FlatGradients flat;
  std::vector<Tensor> others;
  for (const TensorRef& parameter : parameters) {
    const Tensor& gradient = parameter.tensor->grad();
    if (!gradient.defined()) continue;
    if (foreach || !flat.add(gradient)) others.push_back(gradient);
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
  const Norm norm = together({Norm{flat_norm, 1.0}, norm_of(parts, foreach)});
  if (!std::isfinite(norm.largest)) return norm.largest;
  const double value = norm.value();
  // PyTorch's clip_grad_norm_ keeps the quotient finite by the same small number.
  const double scale =
      std::isfinite(value) ? max / (value + 1e-6) : max / norm.largest / norm.ratio;
  if (scale < 1.0) {
    flat.multiply(scale);
    for (Tensor& gradient : others) {
      if (gradient.is_sparse()) gradient = gradient._values();
    }
    multiply(others, scale, foreach);
  }
  return value;
}

void clip_value(rust::Slice<const TensorRef> parameters, double max, bool foreach) {
  const at::NoGradGuard no_grad;
  FlatGradients flat;
  std::vector<Tensor> others;
  for (const TensorRef& parameter : parameters) {
    const Tensor& gradient = parameter.tensor->grad();
    if (!gradient.defined()) continue;
    TORCH_CHECK(!gradient.is_sparse(), "A sparse gradient can't be clipped by value. Clip it by its norm.");
    if (foreach || !flat.add(gradient)) others.push_back(gradient);
  }
  flat.clamp(max);
  const auto [batches, rest] = in_batches(others, foreach);
  for (const std::vector<std::size_t>& batch : batches) {
    const std::vector<Tensor> tensors = selected(others, batch);
    at::_foreach_clamp_min_(tensors, -max);
    at::_foreach_clamp_max_(tensors, max);
  }
  for (const std::size_t place : rest) others[place].clamp_(-max, max);
}

}  // namespace lookahead
