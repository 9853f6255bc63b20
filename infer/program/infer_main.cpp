// espalier-infer: image to 3D, once from the command line or as a service.
#include "infer/program/program.h"
#include "nn/threads.h"

int main(int argc, char** argv) {
  espalier::nn::use_available_cores();
  return espalier::infer::run_program(argc, argv);
}
