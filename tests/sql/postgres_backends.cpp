#include "postgres_fixture.hpp"
#include "sql_backends.hpp"

namespace websession::testing {
namespace {

class Postgres final : public SqlBackend {
 public:
  explicit Postgres(bool on_a_loop) : on_a_loop_(on_a_loop) {}
  std::shared_ptr<SessionStore> open(std::shared_ptr<const Clock> clock) override {
    const PostgresOptions options = patient_postgres(std::move(clock));
    if (on_a_loop_) return postgres_on_a_loop(schema_.conninfo(), options);
    return schema_.open(options);
  }

 private:
  const bool on_a_loop_;
  const PostgresSchema schema_;
};

std::unique_ptr<SqlBackend> make(bool on_a_loop) {
  if (!postgres_is_installed()) return nullptr;
  return std::make_unique<Postgres>(on_a_loop);
}

}  // namespace

std::vector<NamedSqlBackend> sql_backends() {
  return {{"Directly", [] { return make(false); }}, {"OnALoop", [] { return make(true); }}};
}

}  // namespace websession::testing
