"""
A runtime that lives by SIGSEGV (checks of pointers, the end of a stack, safepoints): the same under the verifier.

Usage: java_test.py MODULES      exits with 77 where there is no Java
"""

import os
import shutil
import subprocess
import sys
import tempfile

SKIP = 77
WORDS = ["special=auto", "special=all", "special=all guard=userfault", "special=all guard=protect"]

SOURCE = """
public class Test {
    static class Node { int value; }
    static int get(Node node) { return node.value; }
    static int deep(int n) { return deep(n + 1) + 1; }

    public static void main(String[] arguments) throws Exception {
        int caught = 0, overflows = 0;
        Node some = new Node();
        for (int i = 0; i < 3000000; i++)
            try { get(i % 50 == 0 && i > 2000000 ? null : some); } catch (NullPointerException e) { caught++; }
        for (int i = 0; i < 3; i++)
            try { deep(0); } catch (StackOverflowError e) { overflows++; }
        Thread[] threads = new Thread[4];
        for (int n = 0; n < threads.length; n++) {
            threads[n] = new Thread(() -> {
                byte[][] kept = new byte[100][];
                for (int k = 0; k < 20000; k++)
                    kept[k % 100] = new byte[k % 5000];
            });
            threads[n].start();
        }
        for (Thread thread : threads)
            thread.join();
        System.gc();
        System.out.println(caught + " " + overflows);
    }
}
"""


def main():
    modules = ":".join(map(os.path.abspath, sys.argv[1].split(":")))
    if shutil.which("java") is None or shutil.which("javac") is None:
        print("SKIPPED: not installed: java, javac")
        sys.exit(SKIP)
    with tempfile.TemporaryDirectory(prefix="tagpool-test-") as directory:
        with open(os.path.join(directory, "Test.java"), "w") as file:
            file.write(SOURCE)
        subprocess.run(["javac", "Test.java"], cwd=directory, check=True)

        def run(**settings):
            done = subprocess.run(["java", "-Xmx128m", "Test"], cwd=directory, env=dict(os.environ, **settings),
                                  capture_output=True, text=True, timeout=100)
            return done.returncode, done.stdout, done.stderr

        bare, good = run(), True
        for words in WORDS:
            under = run(LD_PRELOAD=modules, TAGPOOL_VERIFY=words)
            print("ok    " if under == bare else f"FAILED: {under}, should be {bare}", words)
            good &= under == bare
    sys.exit(0 if good else 1)


main()
