// Something for each of the places that are in use.
#pragma once

#include <algorithm>
#include <cstddef>
#include <list>
#include <memory>
#include <utility>

#include "place.hpp"

namespace websession::redis {

// Keeps those that were used last.
template <class T>
class ByPlace {
 public:
  // `make()` gives a pointer to a new one, for a place that has none.
  template <class Make>
  T& at(const Place& place, const Make& make) {
    const auto found =
        std::find_if(all_.begin(), all_.end(), [&](const One& one) { return one.place == place; });
    if (found != all_.end()) {
      all_.splice(all_.begin(), all_, found);
    } else {
      all_.push_front({place, make()});
      if (all_.size() > kept_max) all_.pop_back();
    }
    return *all_.front().its;
  }

 private:
  static constexpr std::size_t kept_max = 64;
  struct One {
    Place place;
    std::unique_ptr<T> its;
  };
  std::list<One> all_{};  // the one that was used last comes first
};

}  // namespace websession::redis
