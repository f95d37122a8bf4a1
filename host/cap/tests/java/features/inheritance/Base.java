package inheritance;

/** Public, protected and package-visible methods, with their tables. */
public abstract class Base {
    private short own;
    protected short shared;

    public short first() {
        return own;
    }

    protected short second(short a) {
        return (short) (a + shared);
    }

    short visible() {
        return 1;
    }

    short alsoVisible() {
        return visible();
    }

    abstract short open();

    private short hidden() {
        return own;
    }

    public short callsHidden() {
        return hidden();
    }
}
