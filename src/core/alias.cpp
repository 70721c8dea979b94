#include "alias.hpp"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "base64.hpp"
#include "characters.hpp"
#include "decisions.hpp"
#include "digest.hpp"
#include "invalid.hpp"
#include "kept_keys.hpp"
#include "record_times.hpp"
#include "websession/principal_index.hpp"

namespace websession::internal {
namespace {

constexpr std::size_t alias_bytes_max = 256;
// An alias is one sign-in at a provider, and so one principal. Several are a mistake of somebody's,
// and must all be found; but not any number.
constexpr std::size_t principals_max = 16;
// Others announce the same name at the same time: the first one makes the record.
constexpr int announce_attempts = 3;

// Names the principal in an alias' record.
std::string principal_text(std::string_view principal) {
  return encode_base64(sha256("websession alias:" + std::string(principal)));
}

// How long a record is to say so: it outlives the session, whatever clocks say.
milliseconds life_of(const SessionState& state) {
  return std::min<milliseconds>(state.policy().absolute_timeout + std::chrono::minutes(1), ttl_max);
}

Error too_many_principals() {
  return make_error(Errc::too_large,
                    "set_alias: sessions of 16 principals have had this alias within the absolute "
                    "timeout: take one that is a sign-in's own");
}

}  // namespace

Result<void> validate_alias(std::string_view alias) {
  if (alias.empty() || alias.size() > alias_bytes_max)
    return invalid("an alias has 1 to 256 bytes");
  if (std::any_of(alias.begin(), alias.end(), is_control)) {
    return invalid("an alias must not hold control bytes");
  }
  return {};
}

std::string alias_text(std::string_view alias, std::string_view id_namespace) {
  std::string text = std::to_string(id_namespace.size()) + ':';
  text += id_namespace;
  text += alias;
  return encode_base64(sha256(text));
}

StoreKey alias_key(std::string_view text) { return kept_key(alias_prefix, text); }

Task<Result<void>> announce_alias(StoreFlow& flow, const SessionState& state,
                                  std::string_view alias) {
  const SessionContext& context = state.context();
  if (!context.has_index) co_return no_principal_index();
  const StoreKey key = alias_key(alias);
  const std::string principal(state.principal());
  const Lifetime lifetime{life_of(state)};
  Changes changes;
  changes.set.push_back({principal_text(principal), principal});
  changes.attributes_max = principals_max;
  const std::string created = created_text(state.clock().wall());
  // Stores that list records by `@user` have it under a name that no principal has: so in none of
  // their lists; and where room is short, those go first of whom there are the most.
  const std::string listed = '\n' + principal;
  const std::vector<Field> fields = {
      {created_field, created}, {user_field, listed}, {changes.set[0].name, changes.set[0].value}};
  const Fields record(fields);
  for (int attempt = 1;; ++attempt) {
    auto update = flow.update(key, changes, lifetime);
    const Result<Outcome>& updated = co_await update;
    if (!updated && updated.error().code == Errc::too_large) co_return too_many_principals();
    if (!updated) co_return updated.error();
    if (updated->status == Outcome::Status::applied) co_return Result<void>();
    auto create = flow.create(key, record, lifetime);
    const Result<void>& made = co_await create;
    if (made) co_return Result<void>();
    const bool was_first = made.error().code == Errc::key_exists;
    if (!was_first || attempt == announce_attempts) co_return made.error();
  }
}

Task<Result<std::size_t>> end_by_alias(StoreFlow& flow, const SessionContext& context,
                                       std::string_view alias) {
  if (!context.has_index) co_return no_principal_index();
  if (auto valid = validate_alias(alias); !valid) co_return std::move(valid).error();
  const std::string text = alias_text(alias, context.options.id_namespace);
  const StoreKey key = alias_key(text);
  auto load = flow.load(key);
  const Result<std::optional<Record>> record = co_await load;
  if (!record.has_value()) co_return record.error();
  std::size_t ended = 0;
  if (!*record) co_return ended;
  for (const Field& field : (*record)->fields) {
    if (field.name.starts_with('@')) continue;
    auto end = end_of_alias(flow, context, field.value, text);
    const Result<std::size_t> some = co_await end;
    if (!some) {
      Error error = some.error();
      error.maybe_applied = error.maybe_applied || ended > 0;
      co_return error;
    }
    ended += *some;
  }
  co_return ended;
}

}  // namespace websession::internal
