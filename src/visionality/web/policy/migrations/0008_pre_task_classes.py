import django.db.models.deletion
from django.db import migrations, models

import visionality.runtime.ids


class Migration(migrations.Migration):
    dependencies = [("accounts", "0003_pre_epochs_and_floor"), ("policy", "0007_pre_mapping")]

    operations = [
        migrations.CreateModel(
            name="TaskClassRule",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=visionality.runtime.ids.uuid7,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("number", models.IntegerField()),
                ("task_class", models.CharField(max_length=40)),
                ("client", models.CharField(blank=True, max_length=60)),
                ("tool", models.CharField(blank=True, max_length=80)),
                ("model", models.CharField(blank=True, max_length=200)),
                ("path", models.CharField(blank=True, max_length=200)),
                ("system_starts", models.CharField(blank=True, max_length=200)),
                ("headers", models.JSONField(default=dict)),
                (
                    "org",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, to="accounts.organisation"
                    ),
                ),
            ],
            options={
                "db_table": "task_class_rule",
                "constraints": [
                    models.UniqueConstraint(fields=("org", "number"), name="task_class_rule_number")
                ],
            },
        ),
    ]
