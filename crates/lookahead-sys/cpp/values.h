// The numbers in a tensor.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/view_as_real.h>

namespace lookahead {

// Complex numbers as their two parts, so that checks and norms see real numbers.
inline at::Tensor as_real(const at::Tensor& tensor) {
  return tensor.is_complex() ? at::view_as_real(tensor.resolve_conj()) : tensor;
}

// All stored numbers in one strided tensor. An element that a sparse tensor lists several times is the sum of its
// entries.
inline at::Tensor values_of(const at::Tensor& tensor) {
  if (tensor.is_sparse()) return as_real(tensor.coalesce()._values());
  return as_real(tensor.layout() == at::kStrided ? tensor : tensor.to_dense());
}

}  // namespace lookahead
