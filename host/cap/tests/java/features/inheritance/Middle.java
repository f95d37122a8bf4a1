package inheritance;

public class Middle extends Base {
    short mine;

    protected short second(short a) {
        return super.second((short) (a + mine));
    }

    short open() {
        return 2;
    }

    public boolean equals(Object other) {
        return other == this;
    }

    public short third() {
        return open();
    }
}
