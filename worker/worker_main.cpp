// espalier-worker: attaches to a coordinator and runs its tasks as child processes on this machine.
#include "worker/program.h"

int main(int argc, char** argv) { return espalier::worker::run_program(argc, argv); }
