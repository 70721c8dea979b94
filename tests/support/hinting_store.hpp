// A store that is told before each update what is known of the session, as `Session` tells it from
// its snapshot. So what the hints lead to is tested by tests that call a store.
#pragma once

#include <optional>
#include <string>

#include "forwarding_store.hpp"

namespace websession::testing {

class HintingStore final : public IndexedDecorator {
 public:
  using IndexedDecorator::IndexedDecorator;

  Result<Outcome> update(const StoreKey& key, const Changes& changes, Lifetime lifetime) override {
    const Result<std::optional<Record>> loaded = inner().load(key);
    if (!loaded.has_value() || !loaded->has_value()) return inner().update(key, changes, lifetime);
    const Record& record = **loaded;
    Changes hinted = changes;
    for (Changes::Set& set : hinted.set) {
      const std::optional<Field> field = record.fields.find_field(set.name);
      set.replaces = field && !field->deadline;
    }
    if (!lifetime.left) lifetime.left = record.remaining;
    return inner().update(key, hinted, lifetime);
  }
};

}  // namespace websession::testing
