#include "cluster/cluster_map.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

namespace websession::redis {
namespace {

using std::chrono::milliseconds;

Place place(const std::string& host) { return {.host = host, .port = "7000"}; }

class ClusterMapTest : public ::testing::Test {
 protected:
  [[nodiscard]] std::string host_of(Slot slot) { return map.place_of(map.node_of(slot)).host; }

  ClusterMap map{{place("seed1"), place("seed2"), place("seed1")}};
  SteadyTime now = SteadyTime() + std::chrono::hours(1);
};

TEST_F(ClusterMapTest, BeginsWithThoseThatAreNamed) {
  EXPECT_FALSE(map.is_known());
  EXPECT_TRUE(map.is_doubted());
  EXPECT_EQ(map.to_ask({}), (std::vector<NodeId>{1, 0}));
  EXPECT_EQ(map.to_ask({}), (std::vector<NodeId>{0, 1})) << "another one first each time";
  EXPECT_EQ(map.to_ask(NodeId{0}), (std::vector<NodeId>{1}));
  EXPECT_EQ(host_of(5), "seed1") << "anybody";
}

TEST_F(ClusterMapTest, KnowsWhoHasWhat) {
  map.assign(std::vector<SlotRange>{{0, 99, place("a")}, {200, 16'383, place("b")}});
  EXPECT_TRUE(map.is_known());
  EXPECT_EQ(host_of(0), "a");
  EXPECT_EQ(host_of(99), "a");
  EXPECT_EQ(host_of(150), "a") << "nobody has it, so anybody is asked";
  EXPECT_EQ(host_of(200), "b");
  EXPECT_EQ(host_of(16'383), "b");
  EXPECT_FALSE(map.has_slots(0));
  EXPECT_TRUE(map.has_slots(map.node_of(0)));
  EXPECT_EQ(map.to_ask({}).size(), 4U) << "and the seeds, last";
}

TEST_F(ClusterMapTest, LearnsOfOneSlotAndDoubtsTheRest) {
  map.assign(std::vector<SlotRange>{{0, 16'383, place("a")}});
  ASSERT_TRUE(map.begin_asking(now));
  map.end_asking({});
  EXPECT_FALSE(map.is_doubted());
  map.moved(7, map.node_at(place("b")).value());
  EXPECT_EQ(host_of(7), "b");
  EXPECT_EQ(host_of(8), "a");
  EXPECT_TRUE(map.is_doubted());
  EXPECT_FALSE(map.has_slots(map.node_of(7))) << "before all is asked for";
  EXPECT_EQ(map.slot_of_node(map.node_of(7)), Slot{7});
  EXPECT_FALSE(map.begin_asking(now + milliseconds(999))) << "it is corrected in parts";
  EXPECT_TRUE(map.begin_asking(now + milliseconds(1000)));
}

TEST_F(ClusterMapTest, ANodeKeepsItsNumber) {
  const NodeId a = map.node_at(place("a")).value();
  map.assign(std::vector<SlotRange>{{0, 16'383, place("b")}});
  map.assign(std::vector<SlotRange>{{0, 16'383, place("a")}});
  EXPECT_EQ(map.node_of(0), a);
  EXPECT_EQ(map.node_at(place("a")), a);
  EXPECT_EQ(map.node_at(place("seed2")), NodeId{1});
}

TEST_F(ClusterMapTest, OneAsksAtATimeAndNotAllTheTime) {
  map.assign(std::vector<SlotRange>{{0, 16'383, place("a")}});
  ASSERT_TRUE(map.begin_asking(now));
  EXPECT_FALSE(map.begin_asking(now)) << "somebody does";
  map.end_asking({});
  map.doubt();
  EXPECT_FALSE(map.begin_asking(now + milliseconds(99))) << "somebody just has";
  EXPECT_TRUE(map.is_doubted());
  EXPECT_TRUE(map.begin_asking(now + milliseconds(100)));
  EXPECT_FALSE(map.is_doubted());
}

TEST_F(ClusterMapTest, WhileNothingIsKnownItIsAskedAgainAtOnce) {
  ASSERT_TRUE(map.begin_asking(now));
  map.end_asking({});
  EXPECT_TRUE(map.begin_asking(now));
}

TEST_F(ClusterMapTest, AsksAnotherOneFirstEachTime) {
  map.assign(std::vector<SlotRange>{{0, 99, place("a")}, {100, 16'383, place("b")}});
  const NodeId first = map.to_ask({}).front();
  EXPECT_NE(map.to_ask({}).front(), first);
  EXPECT_EQ(map.to_ask({}).front(), first);
}

// Those of the URL may be names, and the others addresses of yesterday.
TEST_F(ClusterMapTest, ThoseOfTheUrlAreAskedThoughManyHaveSlots) {
  std::vector<SlotRange> ranges;
  for (Slot slot = 0; slot < 10; ++slot) {
    ranges.push_back({slot, slot, place("p" + std::to_string(slot))});
  }
  EXPECT_EQ(map.assign(ranges).size(), 10U);
  EXPECT_TRUE(map.assign(ranges).empty());
  const std::vector<NodeId> all = map.to_ask({});
  EXPECT_EQ(all.size(), 12U);
  EXPECT_LT(all[3], 2U);
  EXPECT_NE(map.to_ask({})[3], all[3]);
}

TEST_F(ClusterMapTest, TooManyNodesAreNotKept) {
  for (std::size_t i = 2; i < nodes_max; ++i) {
    ASSERT_TRUE(map.node_at(place("n" + std::to_string(i))));
  }
  EXPECT_FALSE(map.node_at(place("one more")));
  EXPECT_TRUE(map.node_at(place("n5"))) << "those that are known are found";
  map.assign(std::vector<SlotRange>{{0, 1, place("yet another")}, {2, 9, place("n5")}});
  EXPECT_EQ(host_of(0), "n5");
}

TEST_F(ClusterMapTest, ManyThreadsUseIt) {
  std::atomic<bool> ends = false;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      while (!ends) {
        const NodeId node = map.node_of(static_cast<Slot>(i));
        EXPECT_FALSE(map.place_of(node).host.empty());
        map.moved(static_cast<Slot>(i), map.node_at(place("m" + std::to_string(i))).value());
      }
    });
  }
  for (int i = 0; i < 200; ++i) {
    map.assign(std::vector<SlotRange>{{0, 16'383, place("h" + std::to_string(i % 50))}});
  }
  ends = true;
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace websession::redis
