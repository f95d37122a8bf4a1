package bridges;

/** Generics and covariant results: javac adds bridge methods and casts. */
class Bridges {
    static class Box<T> {
        T content;

        T get() {
            return content;
        }

        void set(T value) {
            content = value;
        }

        Box<T> copy() {
            return this;
        }
    }

    static class Buffer {
        short length;
    }

    static class BufferBox extends Box<Buffer> {
        Buffer get() {
            return content;
        }

        void set(Buffer value) {
            content = value;
        }

        BufferBox copy() {
            return this;
        }
    }

    static short use(Box<Buffer> box) {
        return box.get().length;
    }
}
