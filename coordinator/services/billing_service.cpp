#include "coordinator/services/billing_service.h"

namespace espalier::coordinator {

grpc::Status BillingServiceHandler::GetPricing(grpc::ServerContext* context, const v1::GetPricingRequest*,
                                               v1::GetPricingResponse* response) {
  return gate_.admit<v1::GetPricingRequest>(*context, [&](const Caller&) -> Status {
    *response->mutable_pricing() = desk_.pricing();
    return absl::OkStatus();
  });
}

grpc::Status BillingServiceHandler::GetBalance(grpc::ServerContext* context, const v1::GetBalanceRequest*,
                                               v1::GetBalanceResponse* response) {
  return gate_.admit<v1::GetBalanceRequest>(*context, [&](const Caller& caller) -> Status {
    ESP_ASSIGN(*response->mutable_balance(), desk_.balance(caller.tenant_id));
    return absl::OkStatus();
  });
}

grpc::Status BillingServiceHandler::ListLedgerTransactions(grpc::ServerContext* context,
                                                           const v1::ListLedgerTransactionsRequest* request,
                                                           v1::ListLedgerTransactionsResponse* response) {
  return gate_.admit<v1::ListLedgerTransactionsRequest>(*context, [&](const Caller& caller) -> Status {
    ESP_ASSIGN(*response, desk_.transactions(caller.tenant_id, *request));
    return absl::OkStatus();
  });
}

grpc::Status BillingServiceHandler::ListUsage(grpc::ServerContext* context, const v1::ListUsageRequest* request,
                                              v1::ListUsageResponse* response) {
  return gate_.admit<v1::ListUsageRequest>(*context, [&](const Caller& caller) -> Status {
    ESP_ASSIGN(*response, desk_.usage(caller.tenant_id, *request));
    return absl::OkStatus();
  });
}

grpc::Status BillingServiceHandler::GetInvoice(grpc::ServerContext* context, const v1::GetInvoiceRequest* request,
                                               v1::GetInvoiceResponse* response) {
  return gate_.admit<v1::GetInvoiceRequest>(*context, [&](const Caller& caller) -> Status {
    ESP_ASSIGN(*response->mutable_invoice(), desk_.invoice(caller.tenant_id, request->job_id()));
    return absl::OkStatus();
  });
}

grpc::Status BillingServiceHandler::ListInvoices(grpc::ServerContext* context, const v1::ListInvoicesRequest* request,
                                                 v1::ListInvoicesResponse* response) {
  return gate_.admit<v1::ListInvoicesRequest>(*context, [&](const Caller& caller) -> Status {
    ESP_ASSIGN(*response, desk_.invoices(caller.tenant_id, *request));
    return absl::OkStatus();
  });
}

grpc::Status BillingServiceHandler::ExportUsage(grpc::ServerContext* context, const v1::ExportUsageRequest* request,
                                                grpc::ServerWriter<v1::UsageEvent>* writer) {
  return gate_.admit<v1::ExportUsageRequest>(*context, [&](const Caller& caller) -> Status {
    for (long long after = 0;;) {
      ESP_ASSIGN(const std::vector<UsageRecord> records, desk_.next_usage(caller.tenant_id, *request, after));
      if (records.empty()) return absl::OkStatus();
      for (const UsageRecord& record : records) {
        if (!writer->Write(record.event)) return absl::CancelledError("the client has gone");
      }
      after = records.back().number;
    }
  });
}

grpc::Status BillingServiceHandler::GrantCredit(grpc::ServerContext* context, const v1::GrantCreditRequest* request,
                                                v1::GrantCreditResponse* response) {
  return gate_.admit<v1::GrantCreditRequest>(*context, [&](const Caller& caller) -> Status {
    ESP_ASSIGN(*response, desk_.grant(caller, *request));
    return absl::OkStatus();
  });
}

grpc::Status BillingServiceHandler::AdjustCredit(grpc::ServerContext* context, const v1::AdjustCreditRequest* request,
                                                 v1::AdjustCreditResponse* response) {
  return gate_.admit<v1::AdjustCreditRequest>(*context, [&](const Caller& caller) -> Status {
    ESP_ASSIGN(*response, desk_.adjust(caller, *request));
    return absl::OkStatus();
  });
}

grpc::Status BillingServiceHandler::ReverseTransaction(grpc::ServerContext* context,
                                                       const v1::ReverseTransactionRequest* request,
                                                       v1::ReverseTransactionResponse* response) {
  return gate_.admit<v1::ReverseTransactionRequest>(*context, [&](const Caller& caller) -> Status {
    ESP_ASSIGN(*response, desk_.reverse(caller, *request));
    return absl::OkStatus();
  });
}

grpc::Status BillingServiceHandler::VerifyLedger(grpc::ServerContext* context, const v1::VerifyLedgerRequest*,
                                                 v1::VerifyLedgerResponse* response) {
  return gate_.admit<v1::VerifyLedgerRequest>(*context, [&](const Caller&) -> Status {
    ESP_ASSIGN(*response, desk_.verify());
    return absl::OkStatus();
  });
}

}  // namespace espalier::coordinator
