// espalier-infer: image to 3D, once from the command line or as a service.
#include "infer/program/program.h"

int main(int argc, char** argv) { return espalier::infer::run_program(argc, argv); }
