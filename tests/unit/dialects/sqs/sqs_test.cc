#include "dialects/sqs/sqs.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "aws/json_body.h"
#include "aws/query.h"
#include "dialects/sqs/attributes.h"
#include "dialects/sqs/message_attributes.h"
#include "queues/fixture.h"

namespace mayfly::dialects::sqs {
namespace {

namespace json = boost::json;

struct Store {
  std::unique_ptr<store::Store> made = store::make_memory_store();
};

// The service on the embedded engine, spoken to in the form of the JSON protocol.
struct SqsTest : ::testing::Test, Store, queues::testing::Embedded {
  SqsTest()
      : Embedded(*made),
        moves({loop.get_executor(), *engine, *made, *committer, clock}),
        sqs({*engine, moves, clock}) {}

  const aws::Operation& operation(std::string_view name) const {
    for (const auto& one : sqs.contract().operations)
      if (one.name == name) return one;
    ADD_FAILURE() << "no operation " << name;
    return sqs.contract().operations.front();
  }

  aws::Outcome<json::object> ask(std::string_view name, const json::object& input) {
    const aws::Operation& op = operation(name);
    auto read = aws::read_json(*op.input, json::serialize(input));
    if (read.has_error()) return std::move(read).error();
    if (auto complete = aws::check_required(*op.input, *read, "MissingParameter");
        complete.has_error())
      return std::move(complete).error();
    auto outcome = begin(op, std::move(*read));
    EXPECT_TRUE(run_until([&] { return outcome->has_value(); }));
    return std::move(**outcome);
  }

  using Pending = std::shared_ptr<std::optional<aws::Outcome<json::object>>>;
  Pending begin(const aws::Operation& op, json::object input) {
    aws::Call call;
    call.operation = &op;
    call.input = std::move(input);
    call.access_key_id = "AKIATEST";
    call.base_url = "http://here:1";
    auto outcome = std::make_shared<std::optional<aws::Outcome<json::object>>>();
    boost::asio::co_spawn(loop, sqs.call(std::move(call)),
                          [outcome](std::exception_ptr failed, aws::Outcome<json::object> value) {
                            EXPECT_FALSE(failed);
                            outcome->emplace(std::move(value));
                          });
    return outcome;
  }

  json::object ok(std::string_view name, const json::object& input) {
    auto outcome = ask(name, input);
    if (outcome.has_error()) {
      ADD_FAILURE() << name << ": " << outcome.error().code << " " << outcome.error().message;
      return {};
    }
    return *outcome;
  }

  std::string code(std::string_view name, const json::object& input) {
    auto outcome = ask(name, input);
    return outcome.has_error() ? outcome.error().code : "ok";
  }

  std::string make(const std::string& name, const json::object& attributes = {}) {
    const json::object answer =
        ok("CreateQueue", {{"QueueName", name}, {"Attributes", attributes}});
    return answer.contains("QueueUrl") ? std::string(answer.at("QueueUrl").get_string()) : "";
  }

  json::array receive(const std::string& url, json::object more = {}) {
    more["QueueUrl"] = url;
    const json::object answer = ok("ReceiveMessage", more);
    return answer.contains("Messages") ? answer.at("Messages").get_array() : json::array();
  }

  queues::MoveTasks moves;
  Sqs sqs;
};

TEST_F(SqsTest, SendReceiveDelete) {
  const std::string url = make("jobs");
  EXPECT_EQ(url, "http://here:1/000000000000/jobs");
  const json::object sent =
      ok("SendMessage", {{"QueueUrl", url},
                         {"MessageBody", "hello"},
                         {"MessageAttributes",
                          {{"n", {{"DataType", "Number"}, {"StringValue", "5"}}},
                           {"b", {{"DataType", "Binary.png"}, {"BinaryValue", "AAEC"}}}}}});
  EXPECT_EQ(sent.at("MD5OfMessageBody"), "5d41402abc4b2a76b9719d911017c592");
  const json::array got =
      receive(url + "/", {{"AttributeNames", {"All"}}, {"MessageAttributeNames", {"All"}}});
  ASSERT_EQ(got.size(), 1u);
  const json::object& message = got[0].get_object();
  EXPECT_EQ(message.at("Body"), "hello");
  EXPECT_EQ(message.at("MessageId"), sent.at("MessageId"));
  EXPECT_EQ(message.at("MD5OfMessageAttributes"), sent.at("MD5OfMessageAttributes"));
  EXPECT_EQ(message.at("MessageAttributes").at("b").at("BinaryValue"), "AAEC");
  EXPECT_EQ(message.at("Attributes").at("ApproximateReceiveCount"), "1");
  EXPECT_EQ(message.at("Attributes").at("SenderId"), "AKIATEST");
  EXPECT_TRUE(receive(url).empty());
  ok("DeleteMessage", {{"QueueUrl", url}, {"ReceiptHandle", message.at("ReceiptHandle")}});
  pass(seconds(60));
  EXPECT_TRUE(receive(url).empty());
}

TEST_F(SqsTest, MessageAttributeNamesChoose) {
  const std::string url = make("choose", {{"VisibilityTimeout", "0"}});
  json::object attributes;
  for (const char* name : {"foo.a", "foo.b", "bar"})
    attributes[name] = {{"DataType", "String"}, {"StringValue", "x"}};
  ok("SendMessage", {{"QueueUrl", url}, {"MessageBody", "m"}, {"MessageAttributes", attributes}});
  const auto names = [&](const json::array& wanted) {
    const json::array got = receive(url, {{"MessageAttributeNames", wanted}});
    std::string text;
    if (got.size() != 1) return std::string("nothing");
    if (const auto* map = got[0].get_object().if_contains("MessageAttributes"))
      for (const auto& one : map->get_object()) text += std::string(one.key()) + " ";
    return text;
  };
  EXPECT_EQ(names({}), "");
  EXPECT_EQ(names({"foo.*"}), "foo.a foo.b ");
  EXPECT_EQ(names({"bar"}), "bar ");
  EXPECT_EQ(names({"All"}), "bar foo.a foo.b ");
  EXPECT_EQ(names({".*"}), "bar foo.a foo.b ");
  EXPECT_EQ(names({"other"}), "");
}

TEST_F(SqsTest, Batches) {
  const std::string url = make("batch");
  const auto send = [&](const json::array& entries) {
    return code("SendMessageBatch", {{"QueueUrl", url}, {"Entries", entries}});
  };
  const auto entry = [](const std::string& id) {
    return json::object{{"Id", id}, {"MessageBody", "m"}};
  };
  EXPECT_EQ(send({}), "EmptyBatchRequest");
  EXPECT_EQ(code("SendMessageBatch", {{"QueueUrl", url}}), "EmptyBatchRequest");
  EXPECT_EQ(send({entry("a"), entry("a")}), "BatchEntryIdsNotDistinct");
  EXPECT_EQ(send({entry("a b")}), "InvalidBatchEntryId");
  json::array eleven;
  for (int i = 0; i < 11; ++i) eleven.push_back(entry(std::to_string(i)));
  EXPECT_EQ(send(eleven), "TooManyEntriesInBatchRequest");
  json::array big;
  for (int i = 0; i < 2; ++i) {
    big.push_back(entry(std::to_string(i)));
    big.back().get_object()["MessageBody"] = std::string(600'000, 'x');
  }
  EXPECT_EQ(send(big), "BatchRequestTooLong");

  const json::object answer =
      ok("SendMessageBatch",
         {{"QueueUrl", url},
          {"Entries", {entry("good"), {{"Id", "bad"}, {"MessageBody", "x\x01y"}}}}});
  ASSERT_EQ(answer.at("Successful").get_array().size(), 1u);
  EXPECT_EQ(answer.at("Successful").at(0).at("Id"), "good");
  EXPECT_EQ(answer.at("Failed").at(0).at("Id"), "bad");
  EXPECT_EQ(answer.at("Failed").at(0).at("Code"), "InvalidMessageContents");
  EXPECT_EQ(answer.at("Failed").at(0).at("SenderFault"), true);

  const json::array got = receive(url);
  ASSERT_EQ(got.size(), 1u);
  const json::object removed =
      ok("DeleteMessageBatch", {{"QueueUrl", url},
                                {"Entries",
                                 {{{"Id", "1"}, {"ReceiptHandle", got[0].at("ReceiptHandle")}},
                                  {{"Id", "2"}, {"ReceiptHandle", "nonsense"}}}}});
  EXPECT_EQ(removed.at("Successful").at(0).at("Id"), "1");
  EXPECT_EQ(removed.at("Failed").at(0).at("Code"), "ReceiptHandleIsInvalid");
}

TEST_F(SqsTest, Faults) {
  const std::string url = make("faults");
  EXPECT_EQ(code("SendMessage", {{"QueueUrl", url + "x"}, {"MessageBody", "m"}}),
            "QueueDoesNotExist");
  EXPECT_EQ(code("SendMessage", {{"QueueUrl", url}}), "MissingParameter");
  EXPECT_EQ(code("SendMessage", {{"QueueUrl", url}, {"MessageBody", ""}}), "MissingParameter");
  EXPECT_EQ(code("SendMessage", {{"QueueUrl", url}, {"MessageBody", "a\x02"}}),
            "InvalidMessageContents");
  EXPECT_EQ(code("SendMessage", {{"QueueUrl", url}, {"MessageBody", "\xef\xbf\xbe"}}),
            "InvalidMessageContents");
  EXPECT_EQ(code("SendMessage", {{"QueueUrl", url}, {"MessageBody", "m"}, {"DelaySeconds", 901}}),
            "InvalidParameterValue");
  EXPECT_EQ(code("SendMessage", {{"QueueUrl", url}, {"MessageBody", 5}}), "SerializationException");
  EXPECT_EQ(
      code("SendMessage",
           {{"QueueUrl", url}, {"MessageBody", "m"}, {"MessageDeduplicationId", "only for fifo"}}),
      "InvalidParameterValue");
  EXPECT_EQ(code("SendMessage", {{"QueueUrl", url}, {"MessageBody", std::string(1'048'577, 'x')}}),
            "InvalidParameterValue");
  EXPECT_EQ(code("ReceiveMessage", {{"QueueUrl", url}, {"MaxNumberOfMessages", 11}}),
            "InvalidParameterValue");
  EXPECT_EQ(code("ReceiveMessage", {{"QueueUrl", url}, {"WaitTimeSeconds", 21}}),
            "InvalidParameterValue");
  EXPECT_EQ(code("ReceiveMessage", {{"QueueUrl", url}, {"AttributeNames", {"Nothing"}}}),
            "InvalidAttributeName");
  EXPECT_EQ(code("DeleteMessage", {{"QueueUrl", url}, {"ReceiptHandle", "x"}}),
            "ReceiptHandleIsInvalid");
  EXPECT_EQ(code("GetQueueAttributes", {{"QueueUrl", url}, {"AttributeNames", {"Color"}}}),
            "InvalidAttributeName");
  EXPECT_EQ(code("SetQueueAttributes", {{"QueueUrl", url}, {"Attributes", {{"Color", "red"}}}}),
            "InvalidAttributeName");
  EXPECT_EQ(code("SetQueueAttributes",
                 {{"QueueUrl", url}, {"Attributes", {{"VisibilityTimeout", "43201"}}}}),
            "InvalidAttributeValue");
  EXPECT_EQ(code("CreateQueue", {{"QueueName", "a.b"}}), "InvalidParameterValue");
  EXPECT_EQ(code("CreateQueue", {{"QueueName", "a.fifo"}}), "InvalidParameterValue");
  EXPECT_EQ(code("CreateQueue", {{"QueueName", "a"}, {"Attributes", {{"FifoQueue", "true"}}}}),
            "InvalidParameterValue");
  EXPECT_EQ(code("GetQueueUrl", {{"QueueName", "none"}}), "QueueDoesNotExist");
}

TEST_F(SqsTest, CreatingAgain) {
  make("same", {{"DelaySeconds", "5"}});
  EXPECT_EQ(code("CreateQueue", {{"QueueName", "same"}}), "ok");
  EXPECT_EQ(code("CreateQueue", {{"QueueName", "same"}, {"Attributes", {{"DelaySeconds", "5"}}}}),
            "ok");
  const auto other =
      ask("CreateQueue", {{"QueueName", "same"}, {"Attributes", {{"DelaySeconds", "6"}}}});
  ASSERT_TRUE(other.has_error());
  EXPECT_EQ(other.error().code, "QueueNameExists");
  EXPECT_EQ(other.error().query_code, "QueueAlreadyExists");
}

TEST_F(SqsTest, Attributes) {
  make("dead");
  const std::string arn = "arn:aws:sqs:us-east-1:000000000000:dead";
  const std::string url = make("live");
  ok("SetQueueAttributes",
     {{"QueueUrl", url},
      {"Attributes",
       {{"RedrivePolicy", R"({"deadLetterTargetArn":")" + arn + R"(","maxReceiveCount":"3"})"},
        {"Policy", R"({"Version":"2012-10-17"})"},
        {"MaximumMessageSize", "2048"}}}});
  const json::object all =
      ok("GetQueueAttributes", {{"QueueUrl", url}, {"AttributeNames", {"All"}}})
          .at("Attributes")
          .get_object();
  EXPECT_EQ(all.at("RedrivePolicy"),
            json::string(R"({"deadLetterTargetArn":")" + arn + R"(","maxReceiveCount":3})"));
  EXPECT_EQ(all.at("MaximumMessageSize"), "2048");
  EXPECT_EQ(all.at("Policy"), R"({"Version":"2012-10-17"})");
  EXPECT_EQ(all.at("QueueArn"), "arn:aws:sqs:us-east-1:000000000000:live");
  EXPECT_EQ(all.at("ApproximateNumberOfMessages"), "0");
  EXPECT_FALSE(all.contains("FifoQueue"));
  const json::object sources =
      ok("ListDeadLetterSourceQueues", {{"QueueUrl", "http://x/000000000000/dead"}});
  EXPECT_EQ(sources.at("queueUrls").at(0), json::string(url));
  EXPECT_EQ(code("SetQueueAttributes",
                 {{"QueueUrl", url},
                  {"Attributes",
                   {{"RedrivePolicy",
                     R"({"deadLetterTargetArn":"arn:aws:sqs:r:1:none","maxReceiveCount":3})"}}}}),
            "InvalidParameterValue");
  ok("SetQueueAttributes", {{"QueueUrl", url}, {"Attributes", {{"RedrivePolicy", ""}}}});
  EXPECT_TRUE(
      ok("GetQueueAttributes", {{"QueueUrl", url}, {"AttributeNames", {"RedrivePolicy"}}}).empty());
}

TEST_F(SqsTest, Fifo) {
  const std::string url = make("orders.fifo", {{"FifoQueue", "true"}});
  const json::object message{{"QueueUrl", url},
                             {"MessageBody", "m"},
                             {"MessageGroupId", "g"},
                             {"MessageDeduplicationId", "d"}};
  json::object without = message;
  without.erase("MessageGroupId");
  EXPECT_EQ(code("SendMessage", without), "MissingParameter");
  without = message;
  without.erase("MessageDeduplicationId");
  EXPECT_EQ(code("SendMessage", without), "InvalidParameterValue");
  without = message;
  without["DelaySeconds"] = 5;
  EXPECT_EQ(code("SendMessage", without), "InvalidParameterValue");
  const json::object first = ok("SendMessage", message);
  EXPECT_EQ(first.at("SequenceNumber").get_string().size(), 20u);
  EXPECT_EQ(ok("SendMessage", message).at("MessageId"), first.at("MessageId"));
  const json::array got =
      receive(url, {{"MaxNumberOfMessages", 10}, {"MessageSystemAttributeNames", {"All"}}});
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got[0].at("Attributes").at("MessageGroupId"), "g");
  EXPECT_EQ(got[0].at("Attributes").at("SequenceNumber"), first.at("SequenceNumber"));
}

TEST_F(SqsTest, ListsInPages) {
  for (int i = 0; i < 5; ++i) make("page-" + std::to_string(i));
  make("other");
  std::vector<std::string> seen;
  json::object input{{"QueueNamePrefix", "page-"}, {"MaxResults", 2}};
  for (int page = 0; page < 4; ++page) {
    const json::object answer = ok("ListQueues", input);
    for (const auto& url : answer.at("QueueUrls").get_array()) seen.emplace_back(url.get_string());
    if (!answer.contains("NextToken")) break;
    input["NextToken"] = answer.at("NextToken");
  }
  ASSERT_EQ(seen.size(), 5u);
  EXPECT_EQ(seen.back(), "http://here:1/000000000000/page-4");
  EXPECT_TRUE(ok("ListQueues", {{"QueueNamePrefix", "zzz"}}).empty());
}

TEST_F(SqsTest, Purge) {
  const std::string url = make("purge");
  for (int round = 0; round < 2; ++round) {
    ok("SendMessage", {{"QueueUrl", url}, {"MessageBody", "m"}});
    ok("PurgeQueue", {{"QueueUrl", url}});
    EXPECT_TRUE(receive(url).empty());
  }
  EXPECT_EQ(code("PurgeQueue", {{"QueueUrl", url + "x"}}), "QueueDoesNotExist");
}

TEST_F(SqsTest, TagsAndPermissions) {
  const std::string url = make("tagged");
  ok("TagQueue", {{"QueueUrl", url}, {"Tags", {{"a", "1"}, {"b", ""}}}});
  ok("UntagQueue", {{"QueueUrl", url}, {"TagKeys", {"a", "none"}}});
  EXPECT_EQ(json::serialize(ok("ListQueueTags", {{"QueueUrl", url}})), R"({"Tags":{"b":""}})");
  const json::object permission{{"QueueUrl", url},
                                {"Label", "them"},
                                {"AWSAccountIds", {"111122223333"}},
                                {"Actions", {"SendMessage"}}};
  ok("AddPermission", permission);
  EXPECT_EQ(code("AddPermission", permission), "InvalidParameterValue");
  const std::string policy(
      ok("GetQueueAttributes", {{"QueueUrl", url}, {"AttributeNames", {"Policy"}}})
          .at("Attributes")
          .at("Policy")
          .get_string());
  EXPECT_NE(policy.find("\"Sid\":\"them\""), std::string::npos);
  ok("RemovePermission", {{"QueueUrl", url}, {"Label", "them"}});
  EXPECT_EQ(code("RemovePermission", {{"QueueUrl", url}, {"Label", "them"}}),
            "InvalidParameterValue");
}

TEST_F(SqsTest, VisibilityOfMessagesThatAreHeld) {
  const std::string url = make("hold");
  ok("SendMessage", {{"QueueUrl", url}, {"MessageBody", "m"}});
  const json::value receipt = receive(url).at(0).at("ReceiptHandle");
  ok("ChangeMessageVisibility",
     {{"QueueUrl", url}, {"ReceiptHandle", receipt}, {"VisibilityTimeout", 0}});
  ASSERT_EQ(receive(url).size(), 1u);
  EXPECT_EQ(code("ChangeMessageVisibility",
                 {{"QueueUrl", url}, {"ReceiptHandle", "x"}, {"VisibilityTimeout", 0}}),
            "ReceiptHandleIsInvalid");
  EXPECT_EQ(code("ChangeMessageVisibility",
                 {{"QueueUrl", url}, {"ReceiptHandle", receipt}, {"VisibilityTimeout", 43'201}}),
            "InvalidParameterValue");
}

TEST_F(SqsTest, ChangesOfAQueueAtTheSameTimeAllCount) {
  const std::string url = make("busy");
  std::vector<Pending> begun;
  for (int n = 0; n < 8; ++n)
    begun.push_back(begin(operation("TagQueue"),
                          {{"QueueUrl", url}, {"Tags", {{"t" + std::to_string(n), "x"}}}}));
  begun.push_back(begin(operation("SetQueueAttributes"),
                        {{"QueueUrl", url}, {"Attributes", {{"DelaySeconds", "7"}}}}));
  begun.push_back(begin(operation("SetQueueAttributes"),
                        {{"QueueUrl", url}, {"Attributes", {{"VisibilityTimeout", "9"}}}}));
  for (const auto& one : begun) {
    ASSERT_TRUE(run_until([&] { return one->has_value(); }));
    EXPECT_TRUE((*one)->has_value());
  }
  EXPECT_EQ(ok("ListQueueTags", {{"QueueUrl", url}}).at("Tags").get_object().size(), 8u);
  const json::object attributes =
      ok("GetQueueAttributes", {{"QueueUrl", url}, {"AttributeNames", {"All"}}})
          .at("Attributes")
          .get_object();
  EXPECT_EQ(attributes.at("DelaySeconds"), "7");
  EXPECT_EQ(attributes.at("VisibilityTimeout"), "9");
}

TEST_F(SqsTest, MovesDeadLettersBack) {
  const std::string dead = make("dead");
  const std::string arn = "arn:aws:sqs:us-east-1:000000000000:dead";
  const std::string url = make(
      "live", {{"RedrivePolicy", R"({"deadLetterTargetArn":")" + arn + R"(","maxReceiveCount":1})"},
               {"VisibilityTimeout", "0"}});
  EXPECT_EQ(code("StartMessageMoveTask", {{"SourceArn", "arn:aws:sqs:us-east-1:0:none"}}),
            "ResourceNotFoundException");
  EXPECT_EQ(
      code("StartMessageMoveTask", {{"SourceArn", "arn:aws:sqs:us-east-1:000000000000:live"}}),
      "InvalidParameterValue");
  ok("SendMessage", {{"QueueUrl", url}, {"MessageBody", "m"}});
  ASSERT_EQ(receive(url).size(), 1u);
  EXPECT_TRUE(receive(url).empty());  // its second reception: it goes to the dead letters
  const json::array letters =
      receive(dead, {{"AttributeNames", {"All"}}, {"VisibilityTimeout", 0}});
  ASSERT_EQ(letters.size(), 1u);
  EXPECT_EQ(letters[0].at("Attributes").at("DeadLetterQueueSourceArn"),
            "arn:aws:sqs:us-east-1:000000000000:live");
  ok("StartMessageMoveTask", {{"SourceArn", arn}});
  json::object task;
  EXPECT_TRUE(run_until([&] {
    task = ok("ListMessageMoveTasks", {{"SourceArn", arn}}).at("Results").at(0).get_object();
    return task.at("Status") != "RUNNING";
  }));
  EXPECT_EQ(task.at("Status"), "COMPLETED");
  EXPECT_EQ(task.at("ApproximateNumberOfMessagesMoved"), 1);
  EXPECT_EQ(receive(url).size(), 1u);
  EXPECT_EQ(code("CancelMessageMoveTask", {{"TaskHandle", "bm9uZQ=="}}),
            "ResourceNotFoundException");
}

TEST(SqsMessageAttributes, DigestAsClientsComputeIt) {
  // len(name) name len(type) type 1|2 len(value) value, in order of names.
  const std::vector<queues::MessageAttribute> attributes{{"a", "String", "x"},
                                                         {"b", "Binary", std::string("\0\1", 2)}};
  EXPECT_EQ(attributes_md5(attributes), "fa20e2def088daf7b14bc51e836c5547");
  EXPECT_EQ(attributes_md5({}), "");
}

TEST(SqsNames, QueueNames) {
  EXPECT_TRUE(is_queue_name("a-B_9"));
  EXPECT_TRUE(is_queue_name("a.fifo"));
  EXPECT_FALSE(is_queue_name(".fifo"));
  EXPECT_FALSE(is_queue_name(".calls"));
  EXPECT_FALSE(is_queue_name("a.b"));
  EXPECT_FALSE(is_queue_name(std::string(81, 'a')));
  EXPECT_TRUE(is_queue_name(std::string(80, 'a')));
  EXPECT_EQ(name_in_arn("arn:aws:sqs:us-east-1:1:name"), "name");
  EXPECT_EQ(name_in_arn("name"), "");
}

}  // namespace
}  // namespace mayfly::dialects::sqs
