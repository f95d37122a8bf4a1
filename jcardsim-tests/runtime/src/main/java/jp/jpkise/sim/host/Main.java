package jp.jpkise.sim.host;

import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;

/** Runs one card until its host closes stdin. */
public final class Main {
    private Main() {
    }

    public static void main(String[] arguments) throws IOException {
        // The protocol owns stdout; jCardSim prints there, which must not end up between two frames.
        Link link = new Link(new FileInputStream(FileDescriptor.in), new FileOutputStream(FileDescriptor.out));
        System.setOut(System.err);
        exitWithParent();
        new Host(link).serve();
        // Threads of a library must not keep a card alive that nobody can reach any more.
        Runtime.getRuntime().halt(0);
    }

    /** A host that is killed while an applet computes leaves nobody to read its end of stdin; this one notices. */
    private static void exitWithParent() {
        ProcessHandle.current().parent()
                .ifPresent(parent -> parent.onExit().thenRun(() -> Runtime.getRuntime().halt(1)));
    }
}
