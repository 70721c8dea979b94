// The order of requests and replies, as plain calls.
#include "pipeline.hpp"

#include <gtest/gtest.h>

#include <array>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace websession::redis {
namespace {

Reply reply(std::string_view text) { return Reply({Reply::Type::string, 0, text}); }

Error lost() { return make_error(Errc::unavailable, "lost"); }

void enqueue(Pipeline& pipeline, Request& request, std::string_view bytes, ReplyCount replies = 1) {
  const auto append = [bytes](std::string& out) { out += bytes; };
  pipeline.enqueue(request, {replies, append});
}

// Stages and writes everything.
std::string flush(Pipeline& pipeline) {
  std::string all;
  while (pipeline.has_unwritten()) {
    const std::string bytes(pipeline.begin_write());
    all += bytes;
    pipeline.end_write(bytes.size());
  }
  return all;
}

TEST(Pipeline, RepliesGoToRequestsInTheirOrder) {
  Pipeline pipeline;
  Request a;
  Request b;
  enqueue(pipeline, a, "aa");
  enqueue(pipeline, b, "b", 2);
  EXPECT_EQ(flush(pipeline), "aab");
  EXPECT_EQ(pipeline.pending(), 2U);
  ASSERT_TRUE(pipeline.on_reply(reply("1")));
  EXPECT_TRUE(a.done);
  ASSERT_TRUE(pipeline.on_reply(reply("2")));
  EXPECT_FALSE(b.done) << "one more is due";
  ASSERT_TRUE(pipeline.on_reply(reply("3")));
  EXPECT_TRUE(b.done);
  EXPECT_EQ(b.replies[1].text(), "3");
  EXPECT_EQ(pipeline.pending(), 0U);
  const Result<void> surprise = pipeline.on_reply(reply("4"));
  ASSERT_FALSE(surprise);
  EXPECT_EQ(surprise.error().code, Errc::corrupt);
}

// Who it is that waits, and how, is nothing to a pipeline.
TEST(Pipeline, TellsWhoeverWaitsOnceAndLast) {
  struct Told : Request {
    Told() : Request([](Request& request) noexcept { ++static_cast<Told&>(request).times; }) {}
    int times = 0;
  };
  Pipeline pipeline;
  Told answered;
  Told failed;
  Told left;
  enqueue(pipeline, answered, "a", 2);
  enqueue(pipeline, failed, "b");
  enqueue(pipeline, left, "c");
  flush(pipeline);
  ASSERT_TRUE(pipeline.on_reply(reply("1")));
  EXPECT_EQ(answered.times, 0) << "another reply is due";
  ASSERT_TRUE(pipeline.on_reply(reply("2")));
  EXPECT_EQ(answered.times, 1);
  EXPECT_TRUE(pipeline.abandon(left));
  pipeline.fail(make_error(Errc::unavailable, "lost"));
  EXPECT_EQ(failed.times, 1);
  EXPECT_TRUE(failed.done && failed.error);
  EXPECT_EQ(left.times, 0) << "it may be gone";
  EXPECT_EQ(answered.times, 1);

  // From then on it may be gone.
  struct Fleeting : Request {
    Fleeting()
        : Request([](Request& request) noexcept { delete &static_cast<Fleeting&>(request); }) {}
  };
  Pipeline next;
  enqueue(next, *new Fleeting, "a");
  enqueue(next, *new Fleeting, "b");
  flush(next);
  ASSERT_TRUE(next.on_reply(reply("1")));
  next.fail(make_error(Errc::unavailable, "lost"));
}

TEST(Pipeline, PartialWritesGoOnWhereTheyStopped) {
  Pipeline pipeline;
  Request a;
  Request b;
  enqueue(pipeline, a, "abc");
  EXPECT_EQ(pipeline.begin_write(), "abc");
  pipeline.end_write(1);
  enqueue(pipeline, b, "d");
  EXPECT_EQ(pipeline.begin_write(), "bc") << "what was staged comes first";
  pipeline.end_write(2);
  EXPECT_EQ(pipeline.begin_write(), "d");
  pipeline.end_write(1);
  EXPECT_FALSE(pipeline.has_unwritten());
}

TEST(Pipeline, AnAbandonedRequestThatIsStillQueuedIsTakenBack) {
  Pipeline pipeline;
  Request a;
  Request b;
  Request c;
  enqueue(pipeline, a, "aa");
  enqueue(pipeline, b, "bbb");
  enqueue(pipeline, c, "c");
  EXPECT_FALSE(pipeline.abandon(b)) << "the server will not see it";
  EXPECT_EQ(flush(pipeline), "aac");
  ASSERT_TRUE(pipeline.on_reply(reply("1")));
  ASSERT_TRUE(pipeline.on_reply(reply("2")));
  EXPECT_TRUE(c.done);
}

TEST(Pipeline, AnAbandonedRequestThatWasStagedHasItsReplyDropped) {
  Pipeline pipeline;
  Request a;
  Request b;
  enqueue(pipeline, a, "a");
  (void)pipeline.begin_write();
  enqueue(pipeline, b, "b");
  EXPECT_TRUE(pipeline.abandon(a)) << "the server may see it";
  pipeline.end_write(1);
  EXPECT_EQ(flush(pipeline), "b");
  ASSERT_TRUE(pipeline.on_reply(reply("for a")));
  EXPECT_FALSE(a.done);
  EXPECT_TRUE(a.replies.size() == 0);
  ASSERT_TRUE(pipeline.on_reply(reply("for b")));
  EXPECT_TRUE(b.done);
  EXPECT_EQ(b.replies[0].text(), "for b");
}

TEST(Pipeline, AFailureKnowsWhatTheServerCanHaveSeen) {
  Pipeline pipeline;
  Request written;
  Request half;
  Request queued;
  Request abandoned;
  enqueue(pipeline, written, "ww");
  enqueue(pipeline, abandoned, "aa");
  enqueue(pipeline, half, "hh");
  (void)pipeline.begin_write();
  pipeline.end_write(5);
  (void)pipeline.abandon(abandoned);
  enqueue(pipeline, queued, "qq");
  EXPECT_TRUE(pipeline.has_callers());
  pipeline.fail(lost());
  EXPECT_TRUE(written.done && half.done && queued.done);
  EXPECT_FALSE(pipeline.has_callers());
  EXPECT_TRUE(written.error->maybe_applied);
  EXPECT_FALSE(half.error->maybe_applied) << "half a command cannot be executed";
  EXPECT_FALSE(queued.error->maybe_applied);
  EXPECT_FALSE(abandoned.error);
  EXPECT_EQ(pipeline.pending(), 0U);
}

TEST(Pipeline, WhileSomebodyWritesAllThatIsStagedMayBeSeen) {
  Pipeline pipeline;
  Request staged;
  Request queued;
  enqueue(pipeline, staged, "ss");
  (void)pipeline.begin_write();
  enqueue(pipeline, queued, "qq");
  pipeline.fail(lost());
  EXPECT_TRUE(staged.error->maybe_applied);
  EXPECT_FALSE(queued.error->maybe_applied);
}

TEST(Pipeline, AReplyWithoutSenseIsTheFaultOfOneRequestOnly) {
  Pipeline pipeline;
  Request first;
  Request second;
  enqueue(pipeline, first, "a");
  enqueue(pipeline, second, "b");
  (void)flush(pipeline);
  pipeline.fail(make_error(Errc::corrupt, "garbage"));
  EXPECT_EQ(first.error->code, Errc::corrupt);
  EXPECT_EQ(second.error->code, Errc::unavailable);
}

TEST(Pipeline, AReplyBeforeItsRequestWasSentIsCorrupt) {
  Pipeline pipeline;
  Request request;
  enqueue(pipeline, request, "a");
  EXPECT_FALSE(pipeline.on_reply(reply("early")));
  EXPECT_FALSE(request.done);
}

TEST(Pipeline, WithOnlyAbandonedRequestsThereAreNoCallers) {
  Pipeline pipeline;
  Request request;
  enqueue(pipeline, request, "a");
  (void)flush(pipeline);
  EXPECT_TRUE(pipeline.has_callers());
  EXPECT_TRUE(pipeline.abandon(request));
  EXPECT_FALSE(pipeline.has_callers());
  EXPECT_EQ(pipeline.pending(), 1U);
}

TEST(Pipeline, TheYoungestOfThoseWhoWaitTakesOver) {
  Pipeline pipeline;
  Request a;
  Request b;
  Request c;
  for (Request* request : {&a, &b, &c}) enqueue(pipeline, *request, "x");
  EXPECT_EQ(pipeline.farewell().turn, Turn::write) << "with nobody waiting";
  a.waiting = true;
  b.waiting = true;
  EXPECT_EQ(pipeline.farewell().heir, &b);
  EXPECT_FALSE(b.waiting) << "it is on its way";
  EXPECT_EQ(pipeline.farewell().heir, &a);
  (void)flush(pipeline);
  pipeline.begin_read();
  b.waiting = true;
  EXPECT_EQ(pipeline.farewell().heir, nullptr) << "no role is free";
}

// Transactions: the parts of several requests in one.

void enqueue_parts(Pipeline& pipeline, Request& request, std::string_view bytes,
                   std::size_t parts) {
  const auto append = [](std::string& out) { out += "script"; };
  const auto append_parts = [bytes](std::string& out) { out += bytes; };
  Shortcuts shortcuts;
  shortcuts.transaction.emplace(Shortcuts::Transaction{parts, append_parts});
  pipeline.enqueue(request, {1, append, shortcuts});
}

// MULTI was answered, and each part queued.
void answer_queued(Pipeline& pipeline, std::size_t parts) {
  for (std::size_t i = 0; i < 1 + parts; ++i) {
    ASSERT_TRUE(pipeline.on_reply(Reply({Reply::Type::status, 0, "QUEUED"})));
  }
}

const std::string multi = "*1\r\n$5\r\nMULTI\r\n";
const std::string exec = "*1\r\n$4\r\nEXEC\r\n";

TEST(PipelineTransactions, PartsOfABatchShareOneAndComeLast) {
  Pipeline pipeline(1, {.parts_max = 100});
  Request a;
  Request b;
  Request c;
  enqueue_parts(pipeline, a, "aa", 2);
  enqueue(pipeline, b, "b");
  enqueue_parts(pipeline, c, "c", 1);
  EXPECT_EQ(pipeline.pending(), 3U);
  EXPECT_EQ(flush(pipeline), "b" + multi + "aac" + exec);
  ASSERT_TRUE(pipeline.on_reply(reply("for b")));
  EXPECT_TRUE(b.done);
  answer_queued(pipeline, 3);
  EXPECT_FALSE(a.done || c.done);
  const std::vector<Reply::Element> answers{
      {Reply::Type::integer, 1, {}}, {Reply::Type::integer, 2, {}}, {Reply::Type::integer, 3, {}}};
  ASSERT_TRUE(pipeline.on_reply(Reply({Reply::Type::array, 0, {}}, answers)));
  ASSERT_TRUE(a.done && c.done);
  EXPECT_EQ(a.replies.way(), Way::transaction);
  EXPECT_EQ(b.replies.way(), Way::plain);
  ASSERT_EQ(a.replies[0].elements().size(), 2U);
  EXPECT_EQ(a.replies[0].elements()[1].integer, 2);
  ASSERT_EQ(c.replies[0].elements().size(), 1U);
  EXPECT_EQ(c.replies[0].elements()[0].integer, 3);
  EXPECT_EQ(pipeline.pending(), 0U);
  EXPECT_FALSE(pipeline.on_reply(reply("nobody's")));
}

TEST(PipelineTransactions, WithoutThemTheOtherFormIsSent) {
  Pipeline pipeline;
  Request a;
  enqueue_parts(pipeline, a, "aa", 2);
  EXPECT_EQ(flush(pipeline), "script");
  ASSERT_TRUE(pipeline.on_reply(reply("1")));
  EXPECT_EQ(a.replies.way(), Way::plain);
}

TEST(PipelineShortcuts, CommandsThatGuardThemselvesGoBeforeATransaction) {
  for (const bool guarded : {true, false}) {
    Pipeline pipeline(1, {.guarded = guarded, .parts_max = 100});
    Request a;
    const auto append = [](std::string& out) { out += "script"; };
    const auto append_guarded = [](std::string& out) { out += "guarded"; };
    const auto append_parts = [](std::string& out) { out += "parts"; };
    Shortcuts shortcuts;
    shortcuts.guarded.emplace(Shortcuts::Guarded{2, append_guarded});
    shortcuts.transaction.emplace(Shortcuts::Transaction{1, append_parts});
    pipeline.enqueue(a, {1, append, shortcuts});
    EXPECT_EQ(flush(pipeline), guarded ? "guarded" : multi + "parts" + exec);
    EXPECT_EQ(a.replies.way(), guarded ? Way::guarded : Way::transaction);
    if (!guarded) continue;
    ASSERT_TRUE(pipeline.on_reply(reply("0")));
    EXPECT_FALSE(a.done);
    ASSERT_TRUE(pipeline.on_reply(reply("1")));
    ASSERT_TRUE(a.done);
    EXPECT_EQ(a.replies.size(), 2U);
  }
}

TEST(PipelineTransactions, OneThatIsRefusedIsRefusedForEach) {
  Pipeline pipeline(1, {.parts_max = 100});
  Request a;
  Request b;
  enqueue_parts(pipeline, a, "a", 1);
  enqueue_parts(pipeline, b, "b", 1);
  (void)flush(pipeline);
  answer_queued(pipeline, 2);
  ASSERT_TRUE(pipeline.on_reply(Reply({Reply::Type::error, 0, "EXECABORT because"})));
  for (const Request* request : {&a, &b}) {
    ASSERT_TRUE(request->done);
    EXPECT_EQ(request->replies.way(), Way::transaction);
    EXPECT_EQ(request->replies[0].text(), "EXECABORT because");
  }
}

// What is said to MULTI and EXEC decides whether the connection still knows where it is.
TEST(PipelineTransactions, AnyOtherAnswerIsTheEndOfTheConnection) {
  std::vector<Reply> wrong;
  wrong.emplace_back(Reply::Element{Reply::Type::error, 0, "NOPERM no"});
  wrong.emplace_back(Reply::Element{Reply::Type::string, 0, "text"});
  wrong.emplace_back(Reply::Element{Reply::Type::nil, 0, {}});
  wrong.emplace_back(Reply::Element{Reply::Type::array, 0, {}}, std::vector<Reply::Element>(2));
  for (Reply& answer : wrong) {
    Pipeline pipeline(1, {.parts_max = 100});
    Request a;
    enqueue_parts(pipeline, a, "a", 1);
    (void)flush(pipeline);
    answer_queued(pipeline, 1);
    EXPECT_FALSE(pipeline.on_reply(std::move(answer)));
  }
}

// Its parts were executed one by one, and what else was said belongs to nobody any more.
TEST(PipelineTransactions, OneThatIsNotBegunIsTheFaultOfItsOwnAndEndsTheConnection) {
  Pipeline pipeline(SIZE_MAX, {.parts_max = 100});
  Request a;
  enqueue_parts(pipeline, a, "aa", 2);
  (void)flush(pipeline);
  Request b;
  enqueue(pipeline, b, "b");
  Request c;
  enqueue(pipeline, c, "c");
  (void)pipeline.begin_write();  // and it is not known how much of it is written
  const Result<void> refused =
      pipeline.on_reply(Reply({Reply::Type::error, 0, "NOPERM no right to multi"}));
  ASSERT_FALSE(refused);
  for (const char* text : {":0", ":0", "ERR EXEC without MULTI", "for b", "for c"}) {
    EXPECT_FALSE(pipeline.on_reply(reply(text)));
  }
  EXPECT_FALSE(a.done || b.done || c.done) << "nobody is given another's reply";
  pipeline.fail(refused.error());
  ASSERT_TRUE(a.done && b.done && c.done);
  EXPECT_EQ(a.error->code, Errc::corrupt);
  EXPECT_EQ(b.error->code, Errc::unavailable) << "it has only lost its connection";
  EXPECT_TRUE(a.error->maybe_applied && b.error->maybe_applied);
}

TEST(PipelineTransactions, HalfOfOneThatIsNotBegunMayBeApplied) {
  Pipeline pipeline(1, {.parts_max = 100});
  Request a;
  enqueue_parts(pipeline, a, "aa", 2);
  (void)pipeline.begin_write();
  pipeline.end_write(multi.size() + 1);
  pipeline.fail(pipeline.on_reply(Reply({Reply::Type::error, 0, "NOPERM no"})).error());
  EXPECT_TRUE(a.error->maybe_applied);
}

TEST(PipelineTransactions, CountAsTheirRequests) {
  Pipeline pipeline(SIZE_MAX, {.parts_max = 100});
  std::array<Request, 3> requests;
  for (Request& request : requests) {
    enqueue_parts(pipeline, request, "a", 1);
    (void)flush(pipeline);
  }
  EXPECT_EQ(pipeline.pending(), 3U);
  pipeline.fail(lost());
  EXPECT_EQ(pipeline.pending(), 0U);
}

// One reply holds the answers of all.
TEST(PipelineTransactions, ALongOneIsTwo) {
  constexpr std::size_t most = 8;
  Pipeline pipeline(1, {.parts_max = most});
  std::array<Request, most / 2 + 1> requests;
  for (Request& request : requests) enqueue_parts(pipeline, request, "aa", 2);
  EXPECT_EQ(pipeline.begin_write(), multi + std::string(most, 'a') + exec);
  pipeline.end_write(multi.size() + most + exec.size());
  EXPECT_EQ(pipeline.turn_of(requests.back()), Turn::read) << "its own comes with the next batch";
  EXPECT_EQ(pipeline.pending(), requests.size());
  answer_queued(pipeline, most);
  const std::vector<Reply::Element> answers(most, {Reply::Type::integer, 1, {}});
  ASSERT_TRUE(pipeline.on_reply(Reply({Reply::Type::array, 0, {}}, answers)));
  EXPECT_TRUE(requests[most / 2 - 1].done);
  EXPECT_FALSE(requests.back().done);
  EXPECT_EQ(flush(pipeline), multi + "aa" + exec);
}

TEST(PipelineTransactions, AnEnqueueThatThrowsHasChangedNothing) {
  Pipeline pipeline(1, {.parts_max = 100});
  Request a;
  Request b;
  enqueue_parts(pipeline, a, "a", 1);
  const auto append = [](std::string&) {};
  const auto throwing = [](std::string& out) {
    out += "half";
    throw std::bad_alloc();
  };
  Shortcuts shortcuts;
  shortcuts.transaction.emplace(Shortcuts::Transaction{1, throwing});
  EXPECT_THROW(pipeline.enqueue(b, {1, append, shortcuts}), std::bad_alloc);
  EXPECT_EQ(pipeline.pending(), 1U);
  EXPECT_EQ(flush(pipeline), multi + "a" + exec);
}

TEST(PipelineTransactions, AnAbandonedPartIsTakenBackWhileItCan) {
  Pipeline pipeline(1, {.parts_max = 100});
  Request a;
  Request b;
  Request c;
  enqueue_parts(pipeline, a, "aa", 1);
  enqueue_parts(pipeline, b, "bbb", 1);
  enqueue_parts(pipeline, c, "c", 1);
  EXPECT_FALSE(pipeline.abandon(a)) << "the server will not see it";
  EXPECT_EQ(flush(pipeline), multi + "bbbc" + exec);
  EXPECT_TRUE(pipeline.abandon(b)) << "the server may see it";
  answer_queued(pipeline, 2);
  const std::vector<Reply::Element> answers{{Reply::Type::integer, 1, {}},
                                            {Reply::Type::integer, 2, {}}};
  ASSERT_TRUE(pipeline.on_reply(Reply({Reply::Type::array, 0, {}}, answers)));
  EXPECT_FALSE(a.done || b.done);
  ASSERT_TRUE(c.done);
  EXPECT_EQ(c.replies[0].elements()[0].integer, 2);
}

TEST(PipelineTransactions, AFailureKnowsThatHalfATransactionIsNone) {
  Pipeline pipeline(1, {.parts_max = 100});
  Request written;
  enqueue_parts(pipeline, written, "w", 1);
  const std::size_t size = pipeline.begin_write().size();
  Request queued;
  enqueue_parts(pipeline, queued, "q", 1);
  pipeline.end_write(size - 1);
  pipeline.fail(lost());
  ASSERT_TRUE(written.done && queued.done);
  EXPECT_FALSE(written.error->maybe_applied) << "EXEC is not whole";
  EXPECT_FALSE(queued.error->maybe_applied);
  EXPECT_FALSE(pipeline.has_callers());

  Pipeline another(1, {.parts_max = 100});
  Request whole;
  enqueue_parts(another, whole, "w", 1);
  (void)flush(another);
  another.fail(lost());
  EXPECT_TRUE(whole.error->maybe_applied);
}

TEST(Pipeline, AnEnqueueThatThrowsHasChangedNothing) {
  Pipeline pipeline;
  Request a;
  Request b;
  enqueue(pipeline, a, "a");
  const auto append = [](std::string& out) {
    out += "half of";
    throw std::bad_alloc();
  };
  EXPECT_THROW(pipeline.enqueue(b, {1, append}), std::bad_alloc);
  EXPECT_EQ(pipeline.pending(), 1U);
  EXPECT_EQ(flush(pipeline), "a");
}

}  // namespace
}  // namespace websession::redis
