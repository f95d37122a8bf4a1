package interfaces;

/** Inherited methods come first in the numbering. */
interface NamedShape extends Shape, Named {
    boolean same(NamedShape other);
}
