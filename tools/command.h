/*
 * The sub-commands: argv[0] is the command's own name, the result is the status to exit with.
 */
#ifndef COMMAND_H
#define COMMAND_H

int command_run(int argc, char **argv);
int command_env(int argc, char **argv);
int command_set(int argc, char **argv);
int command_leaks(int argc, char **argv);
int command_top(int argc, char **argv);
int command_gflags(int argc, char **argv);
int command_poolmon(int argc, char **argv);
int command_verifier(int argc, char **argv);

#endif
