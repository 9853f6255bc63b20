// espalier: submits and watches jobs, generates assets, and starts everything on one machine.
#include "client/command.h"

int main(int argc, char** argv) { return espalier::client::run(argc, argv); }
