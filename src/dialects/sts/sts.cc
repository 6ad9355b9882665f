#include "dialects/sts/sts.h"

#include "aws/session.h"

namespace mayfly::dialects::sts {

namespace {

constexpr aws::Member kIdentityMembers[] = {
    {"UserId", &aws::kString}, {"Account", &aws::kString}, {"Arn", &aws::kString}};
constexpr aws::Shape kIdentity{aws::Kind::structure, kIdentityMembers};

constexpr aws::Operation kOperations[] = {{"GetCallerIdentity", &aws::kEmpty, &kIdentity}};

constexpr aws::Contract make_contract() {
  aws::Contract made;
  made.name = "sts";
  made.api_version = "2011-06-15";
  made.operations = kOperations;
  made.query = true;
  made.xml_namespace = "https://sts.amazonaws.com/doc/2011-06-15/";
  return made;
}

constexpr aws::Contract kContract = make_contract();

}  // namespace

const aws::Contract& Sts::contract() const {
  return kContract;
}

// As on AWS it takes no right: whoever can sign may know who it is.
std::vector<aws::Need> Sts::needs(const aws::Call&) const {
  return {};
}

io::Task<aws::Outcome<boost::json::object>> Sts::call(aws::Call call) {
  boost::json::object out;
  out["UserId"] = call.session ? call.session->user_id() : call.access_key_id;
  out["Account"] = account_;
  out["Arn"] = call.session ? call.session->arn()
                            : "arn:aws:iam::" + account_ + ":user/" + call.access_key_id;
  co_return out;
}

}  // namespace mayfly::dialects::sts
