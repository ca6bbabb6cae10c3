-- What an Aether kernel has of tables, as far as its two views read them. The
-- views put their rows in order, as the kernel's do.
CREATE TABLE kernel_project (id uuid PRIMARY KEY, active boolean NOT NULL DEFAULT true);
CREATE TABLE multitenancy_mtinstance (
    instance_id uuid PRIMARY KEY REFERENCES kernel_project,
    realm text NOT NULL
);
CREATE TABLE kernel_schema (
    id uuid PRIMARY KEY,
    name varchar(100) NOT NULL,
    definition jsonb NOT NULL,
    revision text NOT NULL DEFAULT '1',
    family text,
    modified timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE kernel_schemadecorator (
    id uuid PRIMARY KEY,
    name varchar(100) NOT NULL,
    project_id uuid NOT NULL REFERENCES kernel_project,
    schema_id uuid NOT NULL REFERENCES kernel_schema,
    modified timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON kernel_schemadecorator (schema_id);
CREATE TABLE kernel_mapping (id uuid PRIMARY KEY, is_active boolean NOT NULL DEFAULT true);
CREATE TABLE kernel_entity (
    id uuid PRIMARY KEY,
    revision text NOT NULL DEFAULT '1',
    payload jsonb NOT NULL,
    modified varchar(100) NOT NULL,
    status varchar(20) NOT NULL DEFAULT 'Publishable',
    mapping_id uuid REFERENCES kernel_mapping,
    schemadecorator_id uuid REFERENCES kernel_schemadecorator,
    project_id uuid REFERENCES kernel_project
);
CREATE INDEX kernel_entity_project_modified ON kernel_entity (project_id, modified DESC);
CREATE INDEX kernel_entity_modified ON kernel_entity (modified DESC);
CREATE INDEX kernel_entity_schemadecorator ON kernel_entity (schemadecorator_id);
CREATE INDEX kernel_entity_mapping ON kernel_entity (mapping_id);

CREATE VIEW kernel_schema_vw AS
SELECT greatest(decorator.modified, schema.modified) AS modified,
    decorator.id AS schemadecorator_id, decorator.name AS schemadecorator_name,
    schema.id AS schema_id, schema.name AS schema_name,
    schema.definition AS schema_definition, schema.revision AS schema_revision,
    instance.realm, schema.family = decorator.project_id::text AS is_identity
FROM kernel_schemadecorator AS decorator
JOIN kernel_schema AS schema ON schema.id = decorator.schema_id
JOIN kernel_project AS project ON project.id = decorator.project_id AND project.active
JOIN multitenancy_mtinstance AS instance ON instance.instance_id = project.id
ORDER BY 1;

CREATE VIEW kernel_entity_vw AS
SELECT entity.id, entity.revision, entity.payload, entity.modified, entity.status,
    registered.schemadecorator_id, registered.schemadecorator_name,
    registered.schema_name, registered.schema_id, registered.schema_revision,
    registered.realm
FROM kernel_entity AS entity
JOIN kernel_mapping AS mapping ON mapping.id = entity.mapping_id AND mapping.is_active
JOIN kernel_schema_vw AS registered USING (schemadecorator_id)
ORDER BY entity.modified;

INSERT INTO kernel_mapping VALUES ('00000000-0000-0000-0000-00000000000a');
