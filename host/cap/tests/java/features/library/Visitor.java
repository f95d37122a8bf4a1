package library;

public interface Visitor {
    byte KIND = 3;

    void visit(Counter counter);
}
