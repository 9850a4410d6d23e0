// The steps of libtorch's optimizers on the CPU: one parallel loop over the elements of all parameters.
// ATen's fused kernels wake and join the threads once per tensor, which costs more than the step of a small one, and
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

// The numbers of all parameters that have taken as many steps.
struct AdamRule {
  double step_size, keep, l2, beta1, beta2, correction2, eps;
};

template <typename T>
struct AdamPass {
  static LOOKAHEAD_INLINE void run(const AdamRule& rule, const StepPart& part, std::int64_t from, std::int64_t to) {
    T* __restrict__ weight = static_cast<T*>(part.parameter);
    const T* __restrict__ gradient = static_cast<const T*>(part.gradient);
    T* __restrict__ mean = static_cast<T*>(part.slots[0]);
    T* __restrict__ square = static_cast<T*>(part.slots[1]);
    T* __restrict__ largest = static_cast<T*>(part.slots[2]);
    const T step_size = static_cast<T>(rule.step_size), keep = static_cast<T>(rule.keep);
    const T decay = static_cast<T>(rule.l2), share1 = static_cast<T>(1 - rule.beta1);
    const T beta2 = static_cast<T>(rule.beta2), share2 = static_cast<T>(1 - rule.beta2);
    const T correction2 = static_cast<T>(rule.correction2), eps = static_cast<T>(rule.eps);
    const bool decays = rule.l2 != 0;
    const auto run = [&](const auto& bound) __attribute__((always_inline)) {
      for (std::int64_t i = from; i < to; ++i) {
        const T slope = decays ? gradient[i] + decay * weight[i] : gradient[i];
        const T next = between(mean[i], slope, share1);
        const T next_square = beta2 * square[i] + share2 * slope * slope;
        mean[i] = next;
        square[i] = next_square;
        const T denominator = std::sqrt(bound(i, next_square)) / correction2 + eps;
        weight[i] = weight[i] * keep - step_size * next / denominator;
      }
    };
    if (largest == nullptr) {
      run([](std::int64_t, T next) __attribute__((always_inline)) { return next; });
    } else {
      run([=](std::int64_t i, T next) __attribute__((always_inline)) {
        const T bound = largest[i] > next ? largest[i] : next;
        largest[i] = bound;
        return bound;
      });
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
