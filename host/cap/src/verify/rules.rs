//! The rules a CAP file is held to: one table with a stable id, the section it comes from and how grave a breach is.
//!
//! Sections are those of the Java Card virtual machine specification, classic edition 3.0.4; `4.x` to `6.x` are the
//! file format, `7.5` the instruction set.

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Severity {
    /// Odd, but nothing that a card could be harmed by. The CAP file passes.
    Warning,
    /// The CAP file is refused.
    Error,
}

impl Severity {
    /// `warning` or `error`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl std::fmt::Display for Severity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

macro_rules! rules {
    ($($name:ident $id:literal $section:literal $severity:ident $summary:literal;)*) => {
        /// A rule; see [`Rule::ALL`] for the table.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Rule {
            $(#[doc = $summary] $name,)*
        }

        impl Rule {
            /// All rules in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The stable name, for instance `code.stack-overflow`: what reports, tests and documents call the rule.
            pub fn id(self) -> &'static str {
                match self { $(Self::$name => $id,)* }
            }

            /// Section of the specification.
            pub fn section(self) -> &'static str {
                match self { $(Self::$name => $section,)* }
            }

            /// What a breach means for the CAP file.
            pub fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity,)* }
            }

            /// The rule in one sentence.
            pub fn summary(self) -> &'static str {
                match self { $(Self::$name => $summary,)* }
            }
        }
    };
}

#[rustfmt::skip]
rules! {
    HeaderFlags "header.flags" "6.3" Error "Header has no flags but int, export and applet";
    HeaderExport "header.export-flag" "6.3" Error "The export flag is set exactly when there is an Export component";
    HeaderApplet "header.applet-flag" "6.3" Error "The applet flag is set exactly when there is an Applet component";
    HeaderInt "header.int-flag" "6.3" Error "The int flag is set when the package uses the type int";
    HeaderIntUnused "header.int-unused" "6.3" Warning "The int flag is set only when the package uses the type int";

    DirectorySize "directory.size" "6.4" Error "Directory gives every component's size";
    DirectoryStatic "directory.static-field" "6.4" Error "Directory repeats image size and array counts of StaticField";
    DirectoryImports "directory.import-count" "6.4" Error "Directory gives the number of imported packages";
    DirectoryApplets "directory.applet-count" "6.4" Error "Directory gives the number of applets";
    DirectoryCustom "directory.custom" "6.4" Error "Directory lists the custom components";

    AppletCount "applet.count" "6.5" Error "An Applet component names at least one applet";
    AppletRid "applet.rid" "6.5" Error "An applet's AID begins with the package's RID";
    AppletAid "applet.aid" "6.5" Error "Applet AIDs differ from each other and from the package's";
    AppletInstallOffset "applet.install-offset" "6.5" Error "install_method_offset is where a method begins";
    AppletInstallMethod "applet.install-method" "6.5" Error "The install method is public static void (byte[], short, byte)";
    AppletClass "applet.class" "6.5" Error "The install method belongs to a subclass of javacard.framework.Applet";

    ImportCount "import.count" "2.2.4" Error "A package imports at most 128 packages";
    ImportDuplicate "import.duplicate" "6.6" Error "A package is imported once, and never by itself";
    ImportMissing "import.missing" "6.6" Error "Every imported package has an export file";
    ImportVersion "import.version" "4.5.2" Error "The export file has the imported major version and no lower minor version";

    DescriptorMissing "descriptor.missing" "6.13" Error "Verification needs the Descriptor component";
    DescriptorClass "descriptor.class" "6.13" Error "Descriptor describes every class of the Class component once";
    DescriptorClassToken "descriptor.class-token" "4.3.7.2" Error "Public classes have consecutive tokens, others none";
    DescriptorClassFlags "descriptor.class-flags" "6.13" Error "A class's flags are defined, agree with Class and do not exclude each other";
    DescriptorInterfaces "descriptor.interfaces" "6.13" Error "A class has the same interfaces in Descriptor and in Class, an interface none in Descriptor";
    DescriptorFieldRef "descriptor.field-ref" "6.13" Error "A field's reference names its own class, or a place in the static field image";
    DescriptorFieldToken "descriptor.field-token" "4.3.7" Error "Field tokens are consecutive and given to the fields that need one";
    DescriptorFieldFlags "descriptor.field-flags" "6.13" Error "A field's flags are defined and do not exclude each other";
    DescriptorFieldType "descriptor.field-type" "6.13" Error "A field's type is a primitive type, a class or an array";
    DescriptorMethodToken "descriptor.method-token" "4.3.7" Error "Method tokens are consecutive and given to the methods that need one";
    DescriptorMethodFlags "descriptor.method-flags" "6.13" Error "A method's flags are defined and do not exclude each other";
    DescriptorMethodType "descriptor.method-type" "6.13" Error "A method's type is a signature: parameters, then the result";
    DescriptorType "descriptor.type" "6.13" Error "Type descriptors are well formed and their class references resolve";
    DescriptorPoolTypes "descriptor.pool-types" "6.13" Error "Every constant pool entry but classes has a type";

    PoolPadding "pool.padding" "6.7" Error "Padding in constant pool entries is 0";
    PoolClass "pool.class" "6.7.1" Error "A class reference names a class of this package or of an import";
    PoolField "pool.instance-field" "6.7.2" Error "An instance field reference names a field its class declares";
    PoolVirtual "pool.virtual-method" "6.7.2" Error "A virtual method reference names a method its class declares";
    PoolSuper "pool.super-method" "6.7.2" Error "A super method reference names a method of the superclass of an own class";
    PoolStaticField "pool.static-field" "6.7.3" Error "A static field reference names a static field";
    PoolStaticMethod "pool.static-method" "6.7.3" Error "A static method reference names a static or private method or a constructor";
    PoolType "pool.type" "6.13" Error "The type of a constant pool entry is that of the member it names";

    ClassFlags "class.flags" "6.8" Error "A class's flags are defined, and remote data come with the remote flag";
    ClassSuper "class.superclass" "6.8" Error "A superclass is a class, stands before its subclasses and is known";
    ClassSuperFinal "class.superclass-final" "6.8" Error "A final class has no subclasses";
    ClassSuperinterfaces "class.superinterfaces" "6.8" Error "An interface lists all its superinterfaces, which stand before it";
    ClassInterfaces "class.interfaces" "6.8" Error "A class lists the interfaces it declares and all their superinterfaces, each once";
    ClassShareable "class.shareable" "6.8" Error "The shareable flag tells whether a Shareable interface is among the interfaces";
    ClassInstanceSize "class.instance-size" "6.8" Error "declared_instance_size is the size of the fields in Descriptor";
    ClassReferences "class.references" "6.8" Error "first_reference_token and reference_count describe the reference fields";
    ClassPublicTable "class.public-table" "6.8" Error "The public method table ends at the highest token and begins at or below the lowest own one";
    ClassPackageTable "class.package-table" "6.8" Error "The package method table ends at the highest token, and begins at 0 below an imported superclass";
    ClassTableEntry "class.table-entry" "6.8" Error "A method table entry is the method with that token";
    ClassOverrideType "class.override-type" "4.3.7.6" Error "A method has the signature of the one it overrides";
    ClassOverrideFinal "class.override-final" "4.3.7.6" Error "A final method is not overridden";
    ClassOverrideAccess "class.override-access" "4.3.7.6" Error "Overriding does not narrow access";
    ClassAbstract "class.abstract-method" "6.8" Error "A class that is not abstract has no abstract methods";
    ClassMapping "class.interface-mapping" "6.8" Error "Every interface method is mapped to a public method of the class";
    ClassMappingType "class.interface-method-type" "6.8" Error "A mapped method has the signature of the interface method";
    LimitInstance "limit.instance-size" "2.2.4" Error "An object has at most 255 cells";

    MethodLayout "method.layout" "6.9" Error "Method holds the methods of Descriptor one behind the other, and nothing else";
    MethodHeader "method.header" "6.9.2" Error "A method header's flags are defined and agree with Descriptor";
    MethodNargs "method.nargs" "6.9.2" Error "nargs is the size of the parameters, this included";
    LimitLocals "limit.locals" "2.2.4" Error "A method has at most 255 cells of parameters and locals";
    LimitCode "limit.code-size" "2.2.4" Error "A method has at most 32767 bytes of code";
    HandlerTable "handler.table" "6.9.1" Error "Every exception handler belongs to exactly one method, in the order of the methods";
    HandlerRange "handler.range" "6.9.1" Error "A handler protects whole instructions of its method";
    HandlerTarget "handler.target" "6.9.1" Error "A handler begins at an instruction of its method";
    HandlerCatch "handler.catch-type" "6.9.1" Error "A handler catches a subclass of Throwable, or everything";
    HandlerOrder "handler.order" "6.9.1" Error "Handlers stand in ascending order of handler_offset";
    HandlerStop "handler.stop-bit" "6.9.1" Warning "The stop bit is not set before a handler that protects the same code";

    CodeEmpty "code.empty" "6.9.2" Error "A method that is not abstract has code, an abstract one has none";
    CodeOpcode "code.opcode" "7.5" Error "Code consists of defined instructions";
    CodeTruncated "code.truncated" "7.5" Error "No instruction runs past the end of its method";
    CodeOperand "code.operand" "7.5" Error "Operands have values the instruction defines";
    CodeSwitch "code.switch" "7.5" Error "Switch keys ascend";
    CodeBranch "code.branch-target" "7.5" Error "Branches lead to instructions of the same method";
    CodeLocal "code.local-index" "7.5" Error "A local variable index is below nargs + max_locals";
    CodePoolIndex "code.pool-index" "7.5" Error "A constant pool index is below the number of entries";
    CodePoolKind "code.pool-kind" "7.5" Error "A constant pool entry is of the kind the instruction needs";
    CodeEnd "code.end" "7.5" Error "Execution never runs past the end of a method";
    CodeStackOverflow "code.stack-overflow" "6.9.2" Error "The operand stack is never deeper than max_stack";
    CodeStackUnderflow "code.stack-underflow" "7.5" Error "No instruction pops from an empty stack";
    CodeMerge "code.merge" "7.5" Error "Where paths meet, their stacks have the same depth and compatible types";
    CodeType "code.type" "7.5" Error "Operands on the stack and in locals have the type the instruction needs";
    CodeUninitialized "code.uninitialized" "7.5" Error "An object is used only after its constructor has run";
    CodeConstructor "code.constructor" "7.5" Error "A constructor calls one of its class or superclass, on this, before it returns";
    CodeArgument "code.argument-type" "7.5" Error "Arguments have the types of the parameters";
    CodeReceiver "code.receiver-type" "7.5" Error "A member is used on an instance of its class";
    CodeFieldType "code.field-type" "7.5" Error "A field is accessed by the instruction for its type, and assigned a value of it";
    CodeReturn "code.return-type" "7.5" Error "A method returns what its signature says";
    CodeInvokeKind "code.invoke-kind" "7.5" Error "A method is called by the instruction for its kind";
    CodeAbstractCall "code.abstract-call" "7.5" Error "super does not call an abstract method";
    CodeInterfaceToken "code.interface-method" "7.5" Error "invokeinterface names a method of the interface";
    CodeNargs "code.interface-nargs" "7.5" Error "invokeinterface gives the size of the arguments";
    CodeNew "code.new" "7.5" Error "Only classes that are not abstract are instantiated";
    CodeThrow "code.throw" "7.5" Error "Only instances of Throwable are thrown";
    CodeSubroutine "code.subroutine" "7.5" Error "ret returns from the subroutine that was entered, and none calls itself";
    CodeComplexity "code.complexity" "-" Error "Types settle within this verifier's bound on work";

    AccessPrivate "access.private" "JVM 5.4.4" Warning "Private members are used within their class or nest; a CAP file does not record nests";
    AccessProtected "access.protected" "JVM 5.4.4" Error "Protected members of other packages are used by subclasses, on instances of themselves";
    AccessFinal "access.final" "JVM 5.4.4" Error "Final fields are assigned in constructors of their class alone";

    StaticImage "static.image-size" "6.10" Error "The static field image consists of references, default values and other values";
    StaticArrays "static.array-init" "6.10" Error "Initial arrays hold whole elements of a primitive type and belong to array fields";
    StaticLibrary "static.library" "6.10" Error "A package without applets has no initial arrays, which nobody would own";
    StaticLayout "static.layout" "6.10" Error "The static fields of Descriptor fill the image, references first, without overlap";

    LocationByte "location.byte" "6.11" Error "ReferenceLocation lists all one-byte constant pool indices of the code, and nothing else";
    LocationShort "location.byte2" "6.11" Error "ReferenceLocation lists all two-byte constant pool indices of code and handlers, and nothing else";

    ExportClass "export.class" "6.12" Error "Export lists the public classes in token order, those of an applet package only when shareable interfaces";
    ExportField "export.static-field" "6.12" Error "Export lists public and protected static fields in token order";
    ExportMethod "export.static-method" "6.12" Error "Export lists public and protected static methods and constructors in token order";
    ExportFile "export.file" "5" Error "The package's own export file says what the CAP file says";
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.id())
    }
}
