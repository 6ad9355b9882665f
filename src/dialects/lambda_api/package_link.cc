// Where a function's code can be fetched: an address that carries a signature of the caller's own
// key, is good for ten minutes, and ends with the key.

#include <fcntl.h>
#include <sys/stat.h>

#include "aws/sigv4.h"
#include "aws/times.h"
#include "dialects/aws_values.h"
#include "dialects/lambda_api/contract.h"
#include "dialects/lambda_api/faults.h"
#include "dialects/lambda_api/lambda_api.h"
#include "dialects/lambda_api/pages.h"
#include "functions/checks.h"
#include "io/file_body.h"
#include "os/fd.h"

namespace mayfly::dialects::lambda_api {

using aws::Call;
using aws::Outcome;

namespace {

constexpr std::int64_t kLinkSeconds = 600;

struct OpenedFile {
  std::shared_ptr<os::Fd> fd;
  std::uint64_t bytes = 0;
};

OpenedFile open_file(const std::string& path) {
  OpenedFile opened;
  opened.fd = std::make_shared<os::Fd>(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info;
  if (*opened.fd && fstat(opened.fd->get(), &info) == 0)
    opened.bytes = static_cast<std::uint64_t>(info.st_size);
  return opened;
}

}  // namespace

std::uint64_t file_bytes(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 ? static_cast<std::uint64_t>(info.st_size) : 0;
}

std::string LambdaApi::package_link(const Call& call, const std::string& package) const {
  const identity::AccessKeyPtr key = parts_.keys.find(call.access_key_id);
  const auto host = call.base_url.find("://");
  if (!key || host == std::string::npos) return "";
  aws::SignatureClaim claim;
  claim.access_key_id = key->id;
  claim.time = aws::basic_time(to_epoch_ms(parts_.clock.wall_now()) / 1000);
  claim.date = claim.time.substr(0, 8);
  claim.region = call.region;
  claim.service = std::string(contract().name);
  claim.signed_headers = {"host"};
  claim.presigned = true;
  wire::RequestHead head;
  head.method = "GET";
  head.headers.add("Host", call.base_url.substr(host + 3));
  std::string credential = key->id + "/" + claim.scope();
  for (std::size_t at; (at = credential.find('/')) != std::string::npos;)
    credential.replace(at, 1, "%2F");
  head.target = std::string(kPackagePath) + package +
                "?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=" + credential +
                "&X-Amz-Date=" + claim.time + "&X-Amz-Expires=" + std::to_string(kLinkSeconds) +
                "&X-Amz-SignedHeaders=host";
  const std::string canonical = aws::canonical_request(head, claim, aws::hex_of(aws::sha256("")));
  const auto signature = aws::hmac_sha256(aws::bytes_of(aws::signing_key(key->secret, claim)),
                                          aws::string_to_sign(claim, canonical));
  return call.base_url + head.target + "&X-Amz-Signature=" + aws::hex_of(signature);
}

LambdaApi::Response LambdaApi::get_package(Call call) {
  const std::string package = text_member(call.input, "Sha256");
  // Only what a function names: the link is of no use for anything else.
  if (!functions::is_sha256(package) || !parts_.catalogue.packages_in_use().contains(package))
    co_return not_found("There is no package " + package.substr(0, 100) + ".");
  auto opening =
      parts_.pool.run([path = parts_.packages.archive(package)] { return open_file(path); });
  OpenedFile file = co_await std::move(opening);
  if (!*file.fd) co_return not_found("The archive of the package is not kept.");
  io::HttpResponse response;
  response.head.headers.add("Content-Type", "application/zip");
  response.head.headers.add("Content-Length", std::to_string(file.bytes));
  response.more = std::make_unique<io::FileBody>(parts_.pool, std::move(file.fd), 0, file.bytes);
  co_return std::move(response);
}

}  // namespace mayfly::dialects::lambda_api
