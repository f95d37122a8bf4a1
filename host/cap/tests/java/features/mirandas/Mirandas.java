package mirandas;

/** An abstract class that leaves interface methods to its subclasses. */
abstract class Mirandas implements Runner {
    short twice(short a) {
        return (short) (run(a) + this.run(a));
    }

    static class Real extends Mirandas {
        public short run(short a) {
            return a;
        }

        public void stop() {
        }
    }
}
