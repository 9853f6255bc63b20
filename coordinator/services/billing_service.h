#pragma once

#include "coordinator/billing/billing_desk.h"
#include "coordinator/tenants/gate.h"
#include "espalier/v1/billing.grpc.pb.h"

namespace espalier::coordinator {

// BillingService in front of the BillingDesk.
class BillingServiceHandler final : public v1::BillingService::Service {
 public:
  BillingServiceHandler(Gate& gate, BillingDesk& desk) : gate_(gate), desk_(desk) {}

  grpc::Status GetPricing(grpc::ServerContext*, const v1::GetPricingRequest*, v1::GetPricingResponse*) override;
  grpc::Status GetBalance(grpc::ServerContext*, const v1::GetBalanceRequest*, v1::GetBalanceResponse*) override;
  grpc::Status ListLedgerTransactions(grpc::ServerContext*, const v1::ListLedgerTransactionsRequest*,
                                      v1::ListLedgerTransactionsResponse*) override;
  grpc::Status ListUsage(grpc::ServerContext*, const v1::ListUsageRequest*, v1::ListUsageResponse*) override;
  grpc::Status GetInvoice(grpc::ServerContext*, const v1::GetInvoiceRequest*, v1::GetInvoiceResponse*) override;
  grpc::Status ListInvoices(grpc::ServerContext*, const v1::ListInvoicesRequest*, v1::ListInvoicesResponse*) override;
  grpc::Status ExportUsage(grpc::ServerContext*, const v1::ExportUsageRequest*,
                           grpc::ServerWriter<v1::UsageEvent>*) override;
  grpc::Status GrantCredit(grpc::ServerContext*, const v1::GrantCreditRequest*, v1::GrantCreditResponse*) override;
  grpc::Status AdjustCredit(grpc::ServerContext*, const v1::AdjustCreditRequest*, v1::AdjustCreditResponse*) override;
  grpc::Status ReverseTransaction(grpc::ServerContext*, const v1::ReverseTransactionRequest*,
                                  v1::ReverseTransactionResponse*) override;
  grpc::Status VerifyLedger(grpc::ServerContext*, const v1::VerifyLedgerRequest*, v1::VerifyLedgerResponse*) override;

 private:
  Gate& gate_;
  BillingDesk& desk_;
};

}  // namespace espalier::coordinator
