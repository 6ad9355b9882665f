#include "dialects/inside/function_session.h"

#include "base/log.h"

namespace mayfly::dialects::inside {

FunctionSession::FunctionSession(const functions::Version& version, Credentials credentials,
                                 const std::string& account)
    : function_(version.function),
      credentials_(std::move(credentials)),
      // As of a role that bears the function's name.
      arn_("arn:aws:sts::" + account + ":assumed-role/" + function_ + "/" + function_),
      user_id_("AROA" + credentials_.key.id.substr(4) + ":" + function_),
      own_policy_(!version.settings.policy.empty()) {
  if (!own_policy_) {
    policy_ = functions::Policy::standard();
    return;
  }
  auto parsed = functions::Policy::parse(version.settings.policy);
  if (parsed.has_value())
    policy_ = std::move(*parsed);
  else  // nothing is allowed then
    log::error("{} of {}", parsed.error().describe(), version.qualified_name());
}

aws::Outcome<void> FunctionSession::check(std::span<const aws::Need> needs) const {
  for (const auto& need : needs) {
    if (policy_.allows(need.action, need.resource)) continue;
    return aws::Fault{
        "AccessDeniedException",
        "User: " + arn_ + " is not authorized to perform: " + need.action +
            " on resource: " + need.resource +
            (own_policy_
                 ? ": the setting 'policy' of the function " + function_ + " does not allow it."
                 : ": the function " + function_ +
                       " has no setting 'policy', and the default lets it use services, not "
                       "manage them; a statement in 'policy' can allow it."),
        403};
  }
  return boost::system::in_place_value;
}

}  // namespace mayfly::dialects::inside
