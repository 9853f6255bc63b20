#include "rpc/certificates.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/files.h"
#include "common/secrets.h"
#include "rpc/tls.h"

namespace espalier {
namespace {

namespace fs = std::filesystem;

template <class T, void (*Free)(T*)>
struct Freed {
  void operator()(T* object) const { Free(object); }
};
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY, EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freed<X509, X509_free>>;
using Memory = std::unique_ptr<BIO, Freed<BIO, BIO_free_all>>;
using Number = std::unique_ptr<BIGNUM, Freed<BIGNUM, BN_free>>;

constexpr int kAuthorityDays = 3650;
constexpr long kSecondsOfDay = 86'400;

struct Pair {
  Certificate certificate;
  Key key;
};

struct Extension {
  int id;
  std::string value;
};

Status openssl_error(const char* what) {
  char text[256];
  ERR_error_string_n(ERR_get_error(), text, sizeof text);
  ERR_clear_error();
  return absl::InternalError(absl::StrCat("certificates: ", what, ": ", text));
}

std::string text_of(BIO* memory) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(memory, &data);
  return {data, static_cast<size_t>(size)};
}

Status set_serial(X509* certificate) {
  std::string bytes = random_bytes(16);
  bytes[0] = static_cast<char>(bytes[0] & 0x7f);  // serials are positive
  const Number number(
      BN_bin2bn(reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()), nullptr));
  if (number && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate))) return absl::OkStatus();
  return openssl_error("serial number");
}

Status add_extensions(X509* certificate, X509* issuer, const std::vector<Extension>& extensions) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  for (const Extension& extension : extensions) {
    using Made = std::unique_ptr<X509_EXTENSION, Freed<X509_EXTENSION, X509_EXTENSION_free>>;
    const Made made(X509V3_EXT_conf_nid(nullptr, &context, extension.id, extension.value.c_str()));
    if (!made || X509_add_ext(certificate, made.get(), -1) != 1) return openssl_error(extension.value.c_str());
  }
  return absl::OkStatus();
}

// A new key and its certificate, signed by `issuer`, or by itself without one.
Result<Pair> issue(const std::string& name, int days, const std::vector<Extension>& extensions, const Pair* issuer) {
  Pair made{Certificate(X509_new()), Key(EVP_EC_gen("P-256"))};
  if (!made.key || !made.certificate) return openssl_error("key");
  X509* certificate = made.certificate.get();
  X509_set_version(certificate, X509_VERSION_3);
  ESP_TRY(set_serial(certificate));
  X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);  // clocks differ
  X509_gmtime_adj(X509_getm_notAfter(certificate), days * kSecondsOfDay);
  X509_set_pubkey(certificate, made.key.get());
  X509_NAME* subject = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("Espalier"), -1, -1, 0);
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1,
                             0);
  const Pair& signer = issuer ? *issuer : made;
  X509_set_issuer_name(certificate, X509_get_subject_name(signer.certificate.get()));
  ESP_TRY(add_extensions(certificate, signer.certificate.get(), extensions));
  if (X509_sign(certificate, signer.key.get(), EVP_sha256()) == 0) return openssl_error("signature");
  return made;
}

Result<Pair> make_authority() {
  return issue("Espalier authority", kAuthorityDays,
               {{NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
                {NID_key_usage, "critical,keyCertSign,cRLSign"},
                {NID_subject_key_identifier, "hash"}},
               nullptr);
}

// `names` in the form of subject alternative names: "DNS:…", "IP:…", "URI:…".
Result<Pair> make_leaf(const std::string& name, const std::string& names, const char* purpose, int days,
                       const Pair& authority) {
  return issue(name, days,
               {{NID_basic_constraints, "critical,CA:FALSE"},
                {NID_key_usage, "critical,digitalSignature"},
                {NID_ext_key_usage, purpose},
                {NID_subject_alt_name, names}},
               &authority);
}

Result<std::vector<fs::path>> write(const fs::path& folder, const std::string& name, const Pair& pair) {
  const fs::path certificate_file = folder / (name + ".crt"), key_file = folder / (name + ".key");
  const Memory certificate(BIO_new(BIO_s_mem())), key(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509(certificate.get(), pair.certificate.get()) != 1 ||
      PEM_write_bio_PrivateKey(key.get(), pair.key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return openssl_error("writing");
  }
  ESP_TRY(write_secret_file(key_file, text_of(key.get())));
  ESP_TRY(write_file_atomic(certificate_file, text_of(certificate.get())));
  return std::vector<fs::path>{certificate_file, key_file};
}

// NOT_FOUND: there is none.
Result<Pair> read_authority(const fs::path& folder) {
  ESP_ASSIGN(const std::string certificate_text, read_file(folder / "ca.crt", 1 << 20));
  const std::string key_text = read_file(folder / "ca.key", 1 << 20).value_or("");
  const Memory certificate(BIO_new_mem_buf(certificate_text.data(), static_cast<int>(certificate_text.size())));
  const Memory key(BIO_new_mem_buf(key_text.data(), static_cast<int>(key_text.size())));
  Pair pair{Certificate(PEM_read_bio_X509(certificate.get(), nullptr, nullptr, nullptr)),
            Key(PEM_read_bio_PrivateKey(key.get(), nullptr, nullptr, nullptr))};
  const bool match =
      pair.certificate && pair.key && X509_check_private_key(pair.certificate.get(), pair.key.get()) == 1;
  ERR_clear_error();
  if (match) return pair;
  return absl::InvalidArgumentError(absl::StrCat(
      (folder / "ca.crt").string(), " and ca.key are not an authority (PEM); move them away to get a new one"));
}

bool is_made_of(const std::string& text, const char* others) {
  return !text.empty() && text.size() <= 200 && std::all_of(text.begin(), text.end(), [others](unsigned char c) {
    return absl::ascii_isalnum(c) || std::string(others).find(static_cast<char>(c)) != std::string::npos;
  });
}

Status check(const CertificateRequest& request) {
  for (const std::string& host : request.hosts) {
    if (!is_made_of(host, ".-:*")) {
      return absl::InvalidArgumentError(absl::StrCat("host '", host, "': is not a host name or address"));
    }
  }
  for (const std::string& worker : request.workers) {
    if (!is_made_of(worker, "._-")) {
      return absl::InvalidArgumentError(
          absl::StrCat("worker '", worker, "': must be of letters, digits, '.', '_', '-'"));
    }
  }
  if (request.days >= 1 && request.days <= kAuthorityDays) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("days: must be 1 to ", kAuthorityDays));
}

bool is_address(const std::string& host) {
  return host.find(':') != std::string::npos || host.find_first_not_of("0123456789.") == std::string::npos;
}

std::string server_names(const std::vector<std::string>& hosts) {
  std::vector<std::string> names = {"DNS:localhost", "IP:127.0.0.1", "IP:::1"};
  for (const std::string& host : hosts) names.push_back(absl::StrCat(is_address(host) ? "IP:" : "DNS:", host));
  return absl::StrJoin(names, ",");
}

}  // namespace

Result<std::vector<fs::path>> make_certificates(const fs::path& folder, const CertificateRequest& request) {
  ESP_TRY(check(request));
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return absl::InvalidArgumentError(absl::StrCat(folder.string(), ": ", error.message()));
  std::vector<fs::path> files;
  const auto add = [&](const std::string& name, const Pair& pair) -> Status {
    ESP_ASSIGN(const auto written, write(folder, name, pair));
    files.insert(files.end(), written.begin(), written.end());
    return absl::OkStatus();
  };
  auto authority = read_authority(folder);
  if (absl::IsNotFound(authority.status())) {
    authority = make_authority();
    ESP_TRY(authority.status());
    ESP_TRY(add("ca", *authority));
  }
  ESP_TRY(authority.status());
  const std::string first_host = request.hosts.empty() ? "localhost" : request.hosts.front();
  ESP_ASSIGN(const Pair server,
             make_leaf(first_host, server_names(request.hosts), "serverAuth", request.days, *authority));
  ESP_TRY(add("server", server));
  for (const std::string& worker : request.workers) {
    ESP_ASSIGN(const Pair pair,
               make_leaf(worker, absl::StrCat("URI:", kWorkerUri, worker), "clientAuth", request.days, *authority));
    ESP_TRY(add("worker-" + worker, pair));
  }
  return files;
}

}  // namespace espalier
