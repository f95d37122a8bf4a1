package nested;

/** Inner, static nested, local and anonymous classes, and private members across them. */
class Outer {
    private short secret;
    private static short shared;

    class Inner {
        private short own;

        short read() {
            return (short) (secret + own + shared);
        }

        void call() {
            bump((short) 1);
        }
    }

    static class Nested {
        private byte b;

        private Nested(byte b) {
            this.b = b;
        }
    }

    interface Task {
        short run(short a);
    }

    private void bump(short by) {
        secret += by;
    }

    short use(final short by) {
        Inner inner = new Inner();
        inner.own = 3;
        Nested nested = new Nested((byte) 5);
        Task task = new Task() {
            public short run(short a) {
                return (short) (a + by + secret);
            }
        };
        return (short) (task.run(nested.b) + inner.read());
    }
}
