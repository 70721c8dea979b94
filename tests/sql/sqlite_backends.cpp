#include "sql_backends.hpp"
#include "sqlite_fixture.hpp"

namespace websession::testing {
namespace {

class Sqlite final : public SqlBackend {
 public:
  explicit Sqlite(bool on_a_loop) : on_a_loop_(on_a_loop) {}
  std::shared_ptr<SessionStore> open(std::shared_ptr<const Clock> clock) override {
    std::shared_ptr<SessionStore> store = file_.open(SqliteFile::options(std::move(clock)));
    return on_a_loop_ ? on_a_loop(std::move(store)) : store;
  }

 private:
  const bool on_a_loop_;
  const SqliteFile file_;
};

}  // namespace

std::vector<NamedSqlBackend> sql_backends() {
  return {{"Directly", [] { return std::make_unique<Sqlite>(false); }},
          {"FromALoop", [] { return std::make_unique<Sqlite>(true); }}};
}

}  // namespace websession::testing
