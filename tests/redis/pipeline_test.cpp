// The order of requests and replies, as plain calls.
#include "pipeline.hpp"

#include <gtest/gtest.h>

namespace websession::redis {
namespace {

Reply reply(std::string text) { return {.type = Reply::Type::string, .text = std::move(text)}; }

Error lost() { return make_error(Errc::unavailable, "lost"); }

// Stages and writes everything.
std::string flush(Pipeline& pipeline) {
  std::string all;
  while (pipeline.has_unwritten()) {
    const std::string bytes(pipeline.stage());
    all += bytes;
    pipeline.wrote(bytes.size());
  }
  return all;
}

TEST(Pipeline, RepliesGoToRequestsInTheirOrder) {
  Pipeline pipeline;
  Request a;
  Request b;
  b.replies_expected = 2;
  pipeline.enqueue(a, "aa");
  pipeline.enqueue(b, "b");
  EXPECT_EQ(flush(pipeline), "aab");
  EXPECT_EQ(pipeline.pending(), 2U);
  Request* completed = nullptr;
  ASSERT_TRUE(pipeline.on_reply(reply("1"), completed));
  EXPECT_EQ(completed, &a);
  ASSERT_TRUE(pipeline.on_reply(reply("2"), completed));
  EXPECT_EQ(completed, nullptr) << "one more is due";
  EXPECT_FALSE(b.done);
  ASSERT_TRUE(pipeline.on_reply(reply("3"), completed));
  EXPECT_EQ(completed, &b);
  EXPECT_EQ(b.replies.at(1).text, "3");
  EXPECT_EQ(pipeline.pending(), 0U);
  const Result<void> surprise = pipeline.on_reply(reply("4"), completed);
  ASSERT_FALSE(surprise);
  EXPECT_EQ(surprise.error().code, Errc::corrupt);
}

TEST(Pipeline, PartialWritesGoOnWhereTheyStopped) {
  Pipeline pipeline;
  Request a;
  Request b;
  pipeline.enqueue(a, "abc");
  EXPECT_EQ(pipeline.stage(), "abc");
  pipeline.wrote(1);
  pipeline.enqueue(b, "d");
  EXPECT_EQ(pipeline.stage(), "bc") << "what was staged comes first";
  pipeline.wrote(2);
  EXPECT_EQ(pipeline.stage(), "d");
  pipeline.wrote(1);
  EXPECT_FALSE(pipeline.has_unwritten());
}

TEST(Pipeline, AnAbandonedRequestThatIsStillQueuedIsTakenBack) {
  Pipeline pipeline;
  Request a;
  Request b;
  Request c;
  pipeline.enqueue(a, "aa");
  pipeline.enqueue(b, "bbb");
  pipeline.enqueue(c, "c");
  EXPECT_FALSE(pipeline.abandon(b)) << "the server will not see it";
  EXPECT_EQ(flush(pipeline), "aac");
  Request* completed = nullptr;
  ASSERT_TRUE(pipeline.on_reply(reply("1"), completed));
  ASSERT_TRUE(pipeline.on_reply(reply("2"), completed));
  EXPECT_EQ(completed, &c);
}

TEST(Pipeline, AnAbandonedRequestThatWasStagedHasItsReplyDropped) {
  Pipeline pipeline;
  Request a;
  Request b;
  pipeline.enqueue(a, "a");
  (void)pipeline.stage();
  pipeline.enqueue(b, "b");
  EXPECT_TRUE(pipeline.abandon(a)) << "the server may see it";
  pipeline.wrote(1);
  EXPECT_EQ(flush(pipeline), "b");
  Request* completed = nullptr;
  ASSERT_TRUE(pipeline.on_reply(reply("for a"), completed));
  EXPECT_EQ(completed, nullptr);
  EXPECT_TRUE(a.replies.empty());
  ASSERT_TRUE(pipeline.on_reply(reply("for b"), completed));
  EXPECT_EQ(completed, &b);
  EXPECT_EQ(b.replies.at(0).text, "for b");
}

TEST(Pipeline, AFailureKnowsWhatTheServerCanHaveSeen) {
  Pipeline pipeline;
  Request written;
  Request half;
  Request queued;
  Request abandoned;
  pipeline.enqueue(written, "ww");
  pipeline.enqueue(abandoned, "aa");
  pipeline.enqueue(half, "hh");
  (void)pipeline.stage();
  pipeline.wrote(5);
  (void)pipeline.abandon(abandoned);
  pipeline.enqueue(queued, "qq");
  EXPECT_TRUE(pipeline.has_callers());
  pipeline.fail_all(lost(), false);
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
  pipeline.enqueue(staged, "ss");
  (void)pipeline.stage();
  pipeline.enqueue(queued, "qq");
  pipeline.fail_all(lost(), true);
  EXPECT_TRUE(staged.error->maybe_applied);
  EXPECT_FALSE(queued.error->maybe_applied);
}

TEST(Pipeline, AReplyWithoutSenseIsTheFaultOfOneRequestOnly) {
  Pipeline pipeline;
  Request first;
  Request second;
  pipeline.enqueue(first, "a");
  pipeline.enqueue(second, "b");
  (void)flush(pipeline);
  pipeline.fail_all(make_error(Errc::corrupt, "garbage"), false);
  EXPECT_EQ(first.error->code, Errc::corrupt);
  EXPECT_EQ(second.error->code, Errc::unavailable);
}

TEST(Pipeline, AReplyBeforeItsRequestWasSentIsCorrupt) {
  Pipeline pipeline;
  Request request;
  pipeline.enqueue(request, "a");
  Request* completed = nullptr;
  EXPECT_FALSE(pipeline.on_reply(reply("early"), completed));
  EXPECT_FALSE(request.done);
}

TEST(Pipeline, WithOnlyAbandonedRequestsThereAreNoCallers) {
  Pipeline pipeline;
  Request request;
  pipeline.enqueue(request, "a");
  (void)flush(pipeline);
  EXPECT_TRUE(pipeline.has_callers());
  EXPECT_TRUE(pipeline.abandon(request));
  EXPECT_FALSE(pipeline.has_callers());
  EXPECT_EQ(pipeline.pending(), 1U);
}

TEST(Pipeline, TheYoungestParkedCallerTakesOver) {
  Pipeline pipeline;
  Request a;
  Request b;
  Request c;
  for (Request* request : {&a, &b, &c}) pipeline.enqueue(*request, "x");
  EXPECT_EQ(pipeline.last_parked(), nullptr);
  a.parked = true;
  b.parked = true;
  EXPECT_EQ(pipeline.last_parked(), &b);
  (void)pipeline.stage();
  (void)pipeline.abandon(b);
  EXPECT_EQ(pipeline.last_parked(), &a);
}

}  // namespace
}  // namespace websession::redis
