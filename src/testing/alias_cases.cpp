// Sessions that managers end by another name of theirs (SessionBase::set_alias).
#include "trial.hpp"

namespace websession::testing {
namespace {

std::string fresh_name() { return SessionId::generate().value().secret(); }

Session signed_in(Trial& t, const SessionManager& sessions, const std::string& alias) {
  Session session = sessions.open({}).value();
  session.sign_in("user of " + fresh_name());
  session.set_alias(alias);
  t.expect_ok(sessions.save(session), "save");
  return session;
}

bool lives(Trial& t, const SessionManager& sessions, const SessionId& id) {
  const Result<std::optional<Session>> found = sessions.find(id);
  return t.expect_ok(found, "find") && found->has_value();
}

void expect_ended(Trial& t, const SessionManager& sessions, const std::string& alias,
                  std::size_t count) {
  const Result<std::size_t> ended = sessions.sign_out_by(alias);
  if (!t.expect_ok(ended, "sign_out_by")) return;
  t.expect(*ended == count, "sign_out_by has ended " + std::to_string(*ended) + " sessions, not " +
                                std::to_string(count));
}

void an_alias_ends_its_sessions(Trial& t) {
  const SessionManager sessions = t.manager();
  const std::string alias = fresh_name();
  const Session first = signed_in(t, sessions, alias);
  const Session second = signed_in(t, sessions, alias);
  const Session other = signed_in(t, sessions, fresh_name());
  expect_ended(t, sessions, fresh_name(), 0);
  expect_ended(t, t.manager(1), alias, 2);
  t.expect(!lives(t, sessions, *first.id()) && !lives(t, sessions, *second.id()), "they live on");
  t.expect(lives(t, sessions, *other.id()), "another alias' session has ended");
  expect_ended(t, sessions, alias, 0);
}

void an_alias_follows_to_new_ids(Trial& t) {
  const SessionManager sessions = t.manager();
  const std::string alias = fresh_name();
  Session session = signed_in(t, sessions, alias);
  session.regenerate();
  t.expect_ok(sessions.save(session), "save");
  expect_ended(t, sessions, alias, 1);
  t.expect(!lives(t, sessions, *session.id()), "it lives on");
}

}  // namespace

std::vector<ConformanceCase> alias_cases() {
  return {
      {"an_alias_ends_its_sessions", "index", an_alias_ends_its_sessions},
      {"an_alias_follows_to_new_ids", "index", an_alias_follows_to_new_ids},
  };
}

}  // namespace websession::testing
