#include "event/event_store.hpp"

namespace websession::redis {
namespace {

// Closes a line on its loop; or, when that ends before it comes to it, lets go of all.
class Closing {
 public:
  explicit Closing(std::shared_ptr<EventLine> line) noexcept : line_(std::move(line)) {}
  Closing(Closing&&) noexcept = default;
  Closing& operator=(Closing&&) = delete;
  ~Closing() {
    if (line_ != nullptr) line_->drop();
  }
  void operator()() { std::exchange(line_, nullptr)->close(); }

 private:
  std::shared_ptr<EventLine> line_;
};

}  // namespace

EventLines::~EventLines() {
  if (are_inherited()) {
    // Their sockets and watches are the parent's, which goes on using them.
    static_cast<void>(lines_.release());
    return;
  }
  for (std::size_t i = 0; i < lines_->size(); ++i) {
    if (loops_[i]->here()) {
      (*lines_)[i]->close();
    } else {
      loops_[i]->post(Closing(std::move((*lines_)[i])));
    }
  }
}

}  // namespace websession::redis
