package client;

import library.Counter;
import library.Visitor;

/** Uses the library package: superclass, fields, constructors, statics, interface. */
public class Client extends Counter implements Visitor {
    private short visits;

    Client() {
        super(Counter.LIMIT);
    }

    public void visit(Counter counter) {
        visits += counter.next();
        value = Counter.made;
        counter.buffer = null;
        reset();
    }

    public short next() {
        return (short) (super.next() + Visitor.KIND);
    }

    static void use(Visitor visitor) {
        visitor.visit(Counter.create());
    }
}
