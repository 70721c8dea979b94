#include "cluster/slot_placement.hpp"

#include <string>
#include <utility>

#include "slots.hpp"

namespace websession::redis {
namespace {

class SlotPlacement final : public KeyPlacement {
 public:
  explicit SlotPlacement(std::string prefix) noexcept : prefix_(std::move(prefix)) {}

  [[nodiscard]] Result<SessionId> generate_beside(const SessionId& id) const override {
    return is_one_slot() ? SessionId::generate() : draw_id(prefix_, slot_of(id));
  }
  [[nodiscard]] std::string tag_of(const SessionId& id) const override {
    if (is_one_slot()) return {};
    std::string tag(1, '{');
    tag += redis::tag_of(slot_of(id));
    return tag + '}';
  }

 private:
  [[nodiscard]] bool is_one_slot() const { return has_tag(prefix_); }
  [[nodiscard]] Slot slot_of(const SessionId& id) const {
    return redis::slot_of(prefix_ + std::string(id.secret()));
  }

  const std::string prefix_;
};

}  // namespace

std::shared_ptr<const KeyPlacement> make_placement(const Login& login) {
  if (!login.on_cluster) return nullptr;
  return std::make_shared<const SlotPlacement>(login.prefix);
}

}  // namespace websession::redis
