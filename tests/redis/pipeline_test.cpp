// The order of requests and replies, as plain calls.
#include "pipeline.hpp"

#include <gtest/gtest.h>

#include <new>
#include <string>
#include <string_view>

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
