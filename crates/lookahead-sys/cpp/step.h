// The steps of SGD and RMSprop on the CPU: one parallel loop over the elements of all parameters.
// ATen's fused SGD wakes and joins the threads once per tensor, which costs more than the step of a small one, and
// the foreach operations that would make up RMSprop allocate temporaries.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "flat.h"
#include "wide.h"

namespace lookahead {

// One parameter with its gradient and state.
struct StepPart {
  void* parameter;
  const void* gradient;
  void* slots[3];
  std::int64_t end;
};

struct SgdRule {
  double lr, momentum, dampening, weight_decay;
  bool nesterov, fresh;
};

template <typename T>
struct SgdPass {
  static LOOKAHEAD_INLINE void run(const SgdRule& rule, const StepPart& part, std::int64_t from,
                                   std::int64_t to) {
    T* __restrict__ weight = static_cast<T*>(part.parameter);
    const T* __restrict__ gradient = static_cast<const T*>(part.gradient);
    T* __restrict__ buffer = static_cast<T*>(part.slots[0]);
    const T lr = static_cast<T>(rule.lr), momentum = static_cast<T>(rule.momentum);
    const T decay = static_cast<T>(rule.weight_decay);
    const T share = static_cast<T>(1 - rule.dampening);
    const bool decays = rule.weight_decay != 0, nesterov = rule.nesterov;
    if (buffer == nullptr) {
      for (std::int64_t i = from; i < to; ++i) {
        const T slope = decays ? gradient[i] + decay * weight[i] : gradient[i];
        weight[i] -= lr * slope;
      }
    } else if (rule.fresh) {
      for (std::int64_t i = from; i < to; ++i) {
        const T slope = decays ? gradient[i] + decay * weight[i] : gradient[i];
        buffer[i] = slope;
        weight[i] -= lr * (nesterov ? slope + momentum * slope : slope);
      }
    } else {
      for (std::int64_t i = from; i < to; ++i) {
        const T slope = decays ? gradient[i] + decay * weight[i] : gradient[i];
        const T next = momentum * buffer[i] + share * slope;
        buffer[i] = next;
        weight[i] -= lr * (nesterov ? slope + momentum * next : next);
      }
    }
  }
};

struct RmsPropRule {
  double lr, alpha, eps, weight_decay, momentum;
};

template <typename T>
struct RmsPropPass {
  static LOOKAHEAD_INLINE void run(const RmsPropRule& rule, const StepPart& part, std::int64_t from,
                                   std::int64_t to) {
    T* __restrict__ weight = static_cast<T*>(part.parameter);
    const T* __restrict__ gradient = static_cast<const T*>(part.gradient);
    T* __restrict__ square = static_cast<T*>(part.slots[0]);
    T* __restrict__ buffer = static_cast<T*>(part.slots[1]);
    T* __restrict__ mean = static_cast<T*>(part.slots[2]);
    const T lr = static_cast<T>(rule.lr), alpha = static_cast<T>(rule.alpha);
    const T rest = static_cast<T>(1 - rule.alpha), eps = static_cast<T>(rule.eps);
    const T decay = static_cast<T>(rule.weight_decay), momentum = static_cast<T>(rule.momentum);
    const bool decays = rule.weight_decay != 0;
    const auto slope = [&](std::int64_t i) __attribute__((always_inline)) {
      return decays ? gradient[i] + decay * weight[i] : gradient[i];
    };
    const auto plain = [&](std::int64_t i, T slope) __attribute__((always_inline)) {
      const T next = alpha * square[i] + rest * slope * slope;
      square[i] = next;
      return std::sqrt(next) + eps;
    };
    const auto centered = [&](std::int64_t i, T slope) __attribute__((always_inline)) {
      const T next = alpha * square[i] + rest * slope * slope;
      const T around = alpha * mean[i] + rest * slope;
      square[i] = next;
      mean[i] = around;
      return std::sqrt(next - around * around) + eps;
    };
    const auto run = [&](const auto& denominator) __attribute__((always_inline)) {
      if (buffer == nullptr) {
        for (std::int64_t i = from; i < to; ++i) {
          const T g = slope(i);
          weight[i] -= lr * g / denominator(i, g);
        }
      } else {
        for (std::int64_t i = from; i < to; ++i) {
          const T g = slope(i);
          const T next = momentum * buffer[i] + g / denominator(i, g);
          buffer[i] = next;
          weight[i] -= lr * next;
        }
      }
    };
    if (mean == nullptr) run(plain); else run(centered);
  }
};

template <typename Pass, typename Rule>
auto pass_of() {
  return fastest<Pass, const Rule&, const StepPart&, std::int64_t, std::int64_t>();
}

}  // namespace lookahead
