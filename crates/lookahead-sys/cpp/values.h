// The numbers that a tensor holds.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/view_as_real.h>

namespace lookahead {

// A complex number as its two parts, so that looks and norms are those of real numbers.
inline at::Tensor as_real(const at::Tensor& tensor) {
  return tensor.is_complex() ? at::view_as_real(tensor.resolve_conj()) : tensor;
}

// All numbers that are not 0 by the layout, in one strided tensor. An element of a sparse tensor that is
// listed several times is the sum of its entries.
inline at::Tensor values_of(const at::Tensor& tensor) {
  if (tensor.is_sparse()) return as_real(tensor.coalesce()._values());
  return as_real(tensor.layout() == at::kStrided ? tensor : tensor.to_dense());
}

}  // namespace lookahead
