#include "event/event_store.hpp"

namespace websession::redis {
namespace {

// Closes them on their loop; or, when that ends before it comes to it, lets go of all.
class Closing {
 public:
  explicit Closing(std::shared_ptr<EventServers> servers) noexcept : servers_(std::move(servers)) {}
  Closing(Closing&&) noexcept = default;
  Closing& operator=(Closing&&) = delete;
  ~Closing() {
    if (servers_ != nullptr) servers_->drop();
  }
  void operator()() { std::exchange(servers_, nullptr)->close(); }

 private:
  std::shared_ptr<EventServers> servers_;
};

}  // namespace

EventLines::~EventLines() {
  if (are_inherited()) {
    // Their sockets and watches are the parent's, which goes on using them.
    static_cast<void>(all_.release());
    return;
  }
  for (std::size_t i = 0; i < all_->size(); ++i) {
    if (loops_[i]->here()) {
      (*all_)[i]->close();
    } else {
      loops_[i]->post(Closing(std::move((*all_)[i])));
    }
  }
}

}  // namespace websession::redis
